// What of Argo CD works without a user interface, in one program: the first argument says which.
package main

import (
	"os"

	controller "github.com/argoproj/argo-cd/v3/cmd/argocd-application-controller/commands"
	plugin "github.com/argoproj/argo-cd/v3/cmd/argocd-cmp-server/commands"
	repository "github.com/argoproj/argo-cd/v3/cmd/argocd-repo-server/commands"
	"github.com/spf13/cobra"
)

func main() {
	commands := map[string]func() *cobra.Command{
		"controller":  controller.NewCommand,
		"repo-server": repository.NewCommand,
		"cmp-server":  plugin.NewCommand,
	}
	command := commands[os.Args[1]]()
	command.SetArgs(os.Args[2:])
	if err := command.Execute(); err != nil {
		os.Exit(1)
	}
}
