//! Signatures of migration errors: general.

use wukong_api::ConditionType::LiveMigratable;
use wukong_api::Reason;

use crate::diagnosis::evidence::Source;
use crate::diagnosis::signature::Permanence::Person;
use crate::diagnosis::signature::Signature;

pub(super) const ROWS: &[Signature] = &[
    Signature {
        id: "migration-write-lock",
        sources: &[Source::Migration, Source::Event],
        reasons: &["Migrated", "FailedMigration"],
        needle: "Is another process using the image",
        pattern: r#"Failed to get (?:shared )?\\?"(?<mode>[a-z ]+)\\?" lock(?:\\n|\s)+Is another process using the image \[(?<path>[^\]\\]+)"#,
        condition: LiveMigratable,
        reason: Reason::MigrationFailed,
        detail: "Storage",
        message: "the migration target cannot get the {mode} lock on {path}",
        hint: "use storage that supports shared access with locks for the disk (ReadWriteMany block, or NFSv4); a disk on ReadWriteOnce storage cannot be opened on two nodes",
        platforms: &[],
        permanence: Person,
        source: "QEMU block/file-posix.c",
        doc: "During a migration both QEMU processes open the disk.",
    },
    Signature {
        id: "migration-disk-open",
        sources: &[Source::Migration, Source::Event],
        reasons: &["Migrated", "FailedMigration"],
        needle: "Could not open",
        pattern: "Could not open '(?<path>[^']+)': (?<errno>[A-Za-z_][A-Za-z_/ ]+)",
        condition: LiveMigratable,
        reason: Reason::MigrationFailed,
        detail: "Storage",
        message: "the migration target cannot open {path}: {errno}",
        hint: "check that the volume works on the target node: permissions for uid 107 (device_ownership_from_security_context), direct I/O, and the device rules of the pod; a storage migration from block to file system needs a disk without cache none",
        platforms: &[],
        permanence: Person,
        source: "QEMU block/file-posix.c; kubevirt#12823",
        doc: "The disk opens on the source node, but not on the target.",
    },
];
