package main

import (
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.etcd.io/etcd/server/v3/etcdmain"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/component-base/cli"
	"sigs.k8s.io/kustomize/kustomize/v5/commands/build"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	kwokconfig "sigs.k8s.io/kwok/pkg/config"
	kwok "sigs.k8s.io/kwok/pkg/kwok/cmd"
	kwoklog "sigs.k8s.io/kwok/pkg/log"
	kwoksignals "sigs.k8s.io/kwok/pkg/utils/signals"
	metricsserver "sigs.k8s.io/metrics-server/cmd/metrics-server/app/options"
)

// What is beside Kubernetes' own, with releases of their own.
func init() {
	parts["etcd"] = etcd
	parts["kwok"] = runKwok
	parts["metrics-server"] = func() error { return cli.RunNoErrOutput(metricsServer()) }
	commands["files"] = func() error { return writeFiles(os.Args[1], os.Args[2:]) }
	commands["kustomize"] = func() error { return kustomize().Execute() }
}

// kustomize is sigs.k8s.io/kustomize/kustomize/v5 with the one command that the tests need.
func kustomize() *cobra.Command {
	command := build.NewCmdBuild(filesys.MakeFsOnDisk(), build.MakeHelp("kustomize", "build"), os.Stdout)
	build.AddFunctionAlphaEnablementFlags(command.Flags())
	root := &cobra.Command{Use: "kustomize", SilenceErrors: true}
	root.AddCommand(command)
	return root
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
