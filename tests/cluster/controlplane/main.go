// Command controlplane is a Kubernetes control plane in one binary, a part per subcommand:
//
//	controlplane files DIR ADDRESS…     the certificate and the configuration the parts share
//	controlplane PART ARGS              one part, with the flags of its own
//	controlplane kubectl …              the client
//	controlplane kustomize build DIR    as kubectl has it, and with functions that are programs
//
// Every part is the project's own code, unchanged, so that a test is judged by what judges in production.
// A part ends when its standard input does: see endWithParent.
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.etcd.io/etcd/server/v3/etcdmain"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	"sigs.k8s.io/kustomize/kustomize/v5/commands/build"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	kwokconfig "sigs.k8s.io/kwok/pkg/config"
	kwok "sigs.k8s.io/kwok/pkg/kwok/cmd"
	kwoklog "sigs.k8s.io/kwok/pkg/log"
	kwoksignals "sigs.k8s.io/kwok/pkg/utils/signals"
	metricsserver "sigs.k8s.io/metrics-server/cmd/metrics-server/app/options"
)

var parts = map[string]func() error{
	"etcd":                    etcd,
	"kube-apiserver":          func() error { return cli.RunNoErrOutput(apiserver.NewAPIServerCommand()) },
	"kube-controller-manager": func() error { return cli.RunNoErrOutput(controllermanager.NewControllerManagerCommand()) },
	"kube-scheduler":          func() error { return cli.RunNoErrOutput(scheduler.NewSchedulerCommand()) },
	"kwok":                    runKwok,
	"metrics-server":          func() error { return cli.RunNoErrOutput(metricsServer()) },
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
	switch name {
	case "files":
		return writeFiles(os.Args[1], os.Args[2:])
	case "kubectl": // reads manifests from standard input and ends by itself
		return cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand())
	case "kustomize":
		return kustomize().Execute()
	}
	part, known := parts[name]
	if !known {
		return fmt.Errorf("%s is no part of the control plane", name)
	}
	go endWithParent()
	return part()
}

// kustomize is sigs.k8s.io/kustomize/kustomize/v5 with the one command that the tests need.
func kustomize() *cobra.Command {
	command := build.NewCmdBuild(filesys.MakeFsOnDisk(), build.MakeHelp("kustomize", "build"), os.Stdout)
	build.AddFunctionAlphaEnablementFlags(command.Flags())
	root := &cobra.Command{Use: "kustomize", SilenceErrors: true}
	root.AddCommand(command)
	return root
}

// endWithParent ends this process when its standard input is closed. The tests hold the other end of that pipe,
// and the system closes it however they end, kill -9 included; unlike Linux' PR_SET_PDEATHSIG it works on every
// system and is not tied to the thread that started the process.
func endWithParent() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

func etcd() error {
	etcdmain.Main(os.Args)
	return nil
}

// metricsServer is metrics-server's own command without its check that --metric-resolution is at least 10s:
// a test should not wait that long to see a load.
func metricsServer() *cobra.Command {
	opts := metricsserver.NewOptions()
	cmd := &cobra.Command{Use: "metrics-server", SilenceUsage: true, RunE: func(*cobra.Command, []string) error {
		config, err := opts.ServerConfig()
		if err != nil {
			return err
		}
		server, err := config.Complete()
		if err != nil {
			return err
		}
		return server.RunUntil(genericapiserver.SetupSignalHandler())
	}}
	for _, set := range opts.Flags().FlagSets {
		cmd.Flags().AddFlagSet(set)
	}
	return cmd
}

// runKwok is the main function of sigs.k8s.io/kwok/cmd/kwok, which cannot be imported.
func runKwok() error {
	// Kubernetes' version package puts a --version into the global flags, which cobra adds to every command;
	// KWOK's command has a --version of its own.
	pflag.CommandLine = pflag.NewFlagSet(os.Args[0], pflag.ContinueOnError)
	flags := pflag.NewFlagSet("global", pflag.ContinueOnError)
	flags.ParseErrorsAllowlist.UnknownFlags = true
	flags.Usage = func() {}
	ctx, _ := kwoklog.InitFlags(kwoksignals.SetupSignalContext(), flags)
	ctx, err := kwokconfig.InitFlags(ctx, flags)
	if err != nil {
		return err
	}
	command := kwok.NewCommand(ctx)
	command.PersistentFlags().AddFlagSet(flags)
	return command.ExecuteContext(ctx)
}
