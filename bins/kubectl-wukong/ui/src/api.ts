// Made by `cargo xtask gen-crds` from crates/wukong-api. Do not edit.

export interface WukongSpec {
  annotations?: Record<string, string>;
  architecture?: "amd64" | "arm64" | "s390x";
  cloudInitUser?: {
    groups?: (string)[];
    lockPasswd?: boolean;
    name: string;
    password?: string;
    passwordHash?: string;
    shell?: string;
    sudo?: string;
  };
  cpu: number;
  cpuModel?: string;
  dedicatedCpu?: boolean;
  disks?: ({
    accessModes?: ("ReadWriteOnce" | "ReadWriteMany" | "ReadOnlyMany" | "ReadWriteOncePod")[];
    boot?: boolean;
    bus?: "virtio" | "scsi" | "sata" | "usb";
    cache?: "none" | "writethrough" | "writeback";
    claim?: string;
    dedicatedIOThread?: boolean;
    image?: string;
    kind?: "disk" | "cdrom" | "lun";
    name: string;
    reclaimPolicy?: "Delete" | "Retain";
    serial?: string;
    shareable?: boolean;
    size?: string | number;
    source?: {
      blank?: {
      };
      dataSource?: {
        name: string;
        namespace?: string;
      };
      gcs?: {
        secretRef?: string;
        url: string;
      };
      http?: {
        certConfigMap?: string;
        checksum?: string;
        secretRef?: string;
        url: string;
      };
      pvc?: {
        name: string;
      };
      registry?: {
        certConfigMap?: string;
        pullMethod?: "pod" | "node";
        secretRef?: string;
        url: string;
      };
      s3?: {
        certConfigMap?: string;
        secretRef?: string;
        url: string;
      };
      snapshot?: {
        name: string;
      };
    };
    storageClassName?: string;
    volumeMode?: "Filesystem" | "Block";
  })[];
  firmware?: "BIOS" | "UEFI" | "UEFISecureBoot";
  highAvailability?: {
    antiAffinity?: boolean;
    evictionStrategy?: "LiveMigrate" | "LiveMigrateIfPossible" | "None" | "External";
    group?: string;
    nodeSelector?: Record<string, string>;
    restartPolicy?: "Always" | "OnFailure" | "Never";
    tolerations?: ({
      effect?: "NoSchedule" | "PreferNoSchedule" | "NoExecute";
      key?: string;
      operator?: "Equal" | "Exists";
      tolerationSeconds?: number;
      value?: string;
    })[];
    topologySpread?: boolean;
  };
  hugepages?: "2Mi" | "1Gi";
  labels?: Record<string, string>;
  memory: string | number;
  networks?: ({
    bridgeName?: string;
    guestVlans?: ({
      id: number;
      ipConfig?: {
        address?: string;
        addresses?: (string)[];
        dnsServers?: (string)[];
        gateway?: string;
        gatewayOnLink?: boolean;
        mode?: "static" | "dhcp";
        routes?: ({
          to: string;
          via: string;
        })[];
        searchDomains?: (string)[];
      };
    })[];
    ipConfig?: {
      address?: string;
      addresses?: (string)[];
      dnsServers?: (string)[];
      gateway?: string;
      gatewayOnLink?: boolean;
      mode?: "static" | "dhcp";
      routes?: ({
        to: string;
        via: string;
      })[];
      searchDomains?: (string)[];
    };
    linkState?: "Up" | "Down";
    macAddress?: string;
    model?: "virtio" | "e1000" | "e1000e" | "igb" | "ne2k_pci" | "pcnet" | "rtl8139";
    mtu?: number;
    nadName?: string;
    name: string;
    nodeIP?: string;
    nodeNetwork?: {
      nodeSelector?: Record<string, string>;
      uplink: string;
    };
    onMissingMultus?: "PodNetwork" | "Block";
    physicalInterface?: string;
    primary?: boolean;
    resourceName?: string;
    type?: "bridge" | "macvlan" | "sriov" | "ovs";
    vlanId?: number;
  })[];
  osImage?: string;
  podNetwork?: "Masquerade" | "None";
  podNetworkDnsServers?: (string)[];
  podNetworkIpFamily?: "IPv4" | "IPv6" | "DualStack";
  powerState?: "Running" | "Stopped" | "Paused";
  restartApproval?: "Manual" | "Automatic";
  restoreFromSnapshot?: string;
  running?: boolean;
  sshKeySecret?: string;
  startStrategy?: {
    autoStart?: boolean;
    runStrategy?: "Always" | "RerunOnFailure" | "Manual" | "Halted" | "Once";
  };
  terminationGracePeriodSeconds?: number;
  tpm?: {
    persistent?: boolean;
  };
  userDataFormat?: "CloudInit" | "Ignition";
  userDataSecret?: string;
}

export interface WukongStatus {
  blocker?: {
    chain?: ({
      object: string;
      since?: string;
      state: string;
      text?: string;
    })[];
    condition: string;
    hint?: string;
    message: string;
    object?: string;
    reason: string;
    since: string;
  };
  conditions?: ({
    lastTransitionTime: string;
    message: string;
    observedGeneration?: number;
    reason: string;
    status: string;
    type: string;
  })[];
  firstBoot?: {
    disk: string;
    fields?: Record<string, string>;
  };
  networks?: ({
    intended?: (string)[];
    interface?: string;
    ipAddress?: string;
    ipAddresses?: (string)[];
    macAddress?: string;
    nadName?: string;
    name: string;
    source?: string;
  })[];
  nodeName?: string;
  observedGeneration?: number;
  pendingChanges?: ({
    current?: string;
    desired?: string;
    effect: string;
    path: string;
  })[];
  phase?: "Pending" | "Creating" | "Starting" | "Running" | "Paused" | "Stopping" | "Stopped" | "Migrating" | "Error" | "Deleting";
  resources?: ({
    hash: string;
    kind: string;
    name: string;
  })[];
  startedWith?: {
    configuration?: string;
    instance: string;
    networks?: Record<string, string>;
    placement: string;
  };
  timings?: {
    created?: string;
    ready?: string;
    running?: string;
  };
  vmName?: string;
  volumes?: ({
    bound?: boolean;
    capacity?: string;
    generation?: number;
    message?: string;
    name: string;
    otherGenerations?: ({
      generation: number;
      pvcName: string;
      restore?: string;
      size?: string;
    })[];
    phase?: string;
    progress?: string;
    pvcName?: string;
    reclaimPolicy?: string;
    requested?: string;
    size?: string;
  })[];
}
