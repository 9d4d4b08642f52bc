//! Plans the disks of a Wukong: CDI DataVolumes and PersistentVolumeClaims.
#![deny(missing_docs)]
