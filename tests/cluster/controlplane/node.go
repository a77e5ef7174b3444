//go:build linux

package main

import (
	"context"

	"k8s.io/component-base/cli"
	kubeproxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// What runs on a node, for tests/node: both are for Linux alone.
func init() {
	parts["kubelet"] = func() error { return cli.RunNoErrOutput(kubelet.NewKubeletCommand(context.Background())) }
	parts["kube-proxy"] = func() error { return cli.RunNoErrOutput(kubeproxy.NewProxyCommand()) }
}
