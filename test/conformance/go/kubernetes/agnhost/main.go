// agnhost with those of its commands that tests of policy call: two dozen packages in place of 1 150.
package main

import (
	"os"

	"github.com/spf13/cobra"

	"k8s.io/kubernetes/test/images/agnhost/connect"
	"k8s.io/kubernetes/test/images/agnhost/pause"
	"k8s.io/kubernetes/test/images/agnhost/porter"
	servehostname "k8s.io/kubernetes/test/images/agnhost/serve-hostname"
)

func main() {
	root := &cobra.Command{Use: "agnhost"}
	root.AddCommand(
		connect.CmdConnect,
		pause.CmdPause,
		porter.CmdPorter,
		servehostname.CmdServeHostname,
	)
	if root.Execute() != nil {
		os.Exit(1)
	}
}
