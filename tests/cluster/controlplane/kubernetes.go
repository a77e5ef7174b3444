// Command controlplane is a Kubernetes control plane in one binary, a part per subcommand:
//
//	controlplane files DIR ADDRESS…     the certificate and the configuration the parts share
//	controlplane PART ARGS              one part, with the flags of its own
//	controlplane kubectl …              the client
//	controlplane kustomize build DIR    as kubectl has it, and with functions that are programs
//
// Every part is the project's own code, unchanged, so that a test is judged by what judges in production.
// A part ends when its standard input does: see endWithParent.
//
// This file holds what is Kubernetes' own, and is all that is built of an older release: see build.py.
package main

import (
	"fmt"
	"io"
	"os"

	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

var parts = map[string]func() error{
	"kube-apiserver":          func() error { return cli.RunNoErrOutput(apiserver.NewAPIServerCommand()) },
	"kube-controller-manager": func() error { return cli.RunNoErrOutput(controllermanager.NewControllerManagerCommand()) },
	"kube-scheduler":          func() error { return cli.RunNoErrOutput(scheduler.NewSchedulerCommand()) },
}

// commands end by themselves; their standard input may be a manifest.
var commands = map[string]func() error{
	"kubectl": func() error { return cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()) },
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) < 2 {
		return fmt.Errorf("usage: controlplane files DIR ADDRESS… | kubectl … | kustomize build DIR | PART ARGS")
	}
	name := os.Args[1]
	os.Args = os.Args[1:] // each part reads os.Args as if it were the program
	if command, known := commands[name]; known {
		return command()
	}
	part, known := parts[name]
	if !known {
		return fmt.Errorf("%s is no part of the control plane", name)
	}
	go endWithParent()
	return part()
}

// endWithParent ends this process when its standard input is closed. The tests hold the other end of that pipe,
// and the system closes it however they end, kill -9 included; unlike Linux' PR_SET_PDEATHSIG it works on every
// system and is not tied to the thread that started the process.
func endWithParent() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}
