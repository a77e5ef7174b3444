"""The configuration of every part of the node. Pure: nothing is started here.

Where what is asked for is not plain to see, it is because the node shares the machine's kernel with everything else.
"""

import json
from pathlib import Path

import parts
from keeper import Place

NAME = "node"
PAUSE = "registry.example.com/pause:1"


def control_plane(place: Place) -> parts.Nodes:
    return parts.Nodes(
        place.host,
        kube_apiserver=("--kubelet-preferred-address-types=InternalIP",),
        kube_controller_manager=("--root-ca-file=tls.crt", "--node-monitor-period=2s"),
        metrics_server=("--kubelet-insecure-tls",),
    )


def containerd(place: Place) -> str:
    return f"""
version = 2
root = '{place.folder}/containerd'
state = '/run/containerd'
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = '{PAUSE}'
  restrict_oom_score_adj = true  # this machine may not let anyone have a lower one
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = 'io.containerd.runc.v2'
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = '/usr/lib/cni'
    conf_dir = '{place.folder}/cni'
"""


def cni(place: Place) -> str:
    addresses = {
        "type": "host-local",
        "dataDir": "/run/cni-addresses",
        "ranges": [[{"subnet": place.pods}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "hairpinMode": True, "ipam": addresses}
    return json.dumps({"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge]})


def kubelet(place: Place) -> str:
    configuration = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": place.address,
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{place.cgroup}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "makeIPTablesUtilChains": False,
        "volumePluginDir": f"{place.folder}/plugins",
        "resolvConf": f"{place.folder}/resolv.conf",
        "enforceNodeAllocatable": ["pods"],
        # This disk is the machine's: how full it is says nothing about the node.
        "evictionHard": {"memory.available": "50Mi"},
        "imageGCHighThresholdPercent": 100,
        "imageMaximumGCAge": "0s",
        "nodeStatusUpdateFrequency": "5s",
        "syncFrequency": "10s",
    }
    return json.dumps(configuration)


def kubelet_flags(place: Place, kubeconfig: Path) -> list[str]:
    return [
        f"--config={place.folder}/kubelet.json",
        f"--kubeconfig={kubeconfig}",
        f"--hostname-override={NAME}",
        f"--node-ip={place.address}",
        f"--root-dir={place.folder}/kubelet",
        f"--cert-dir={place.folder}/kubelet/pki",
        "--housekeeping-interval=1s",  # how old what a pod uses may be, by default 10 s
    ]


def kube_proxy(place: Place, kubeconfig: Path) -> str:
    configuration = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "hostnameOverride": NAME,
        "mode": "nftables",
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "clusterCIDR": place.pods,
        # The machine's limits for connections stay as they are.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }
    return json.dumps(configuration)
