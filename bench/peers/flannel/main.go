// flannel's udp backend between two fixed nodes.
//
// The packet path is flannel's own: its TUN and its proxy in C. What flanneld would learn from etcd or from the
// Kubernetes API, the two nodes' subnets, comes from the arguments.
//
//	flannel-udp INTERFACE NETWORK OWN-SUBNET OWN-ADDRESS PEER-SUBNET PEER-ADDRESS
package main

import (
	"context"
	"errors"
	"log"
	"net"
	"os"
	"os/signal"
	"sync"

	"github.com/flannel-io/flannel/pkg/backend"
	"github.com/flannel-io/flannel/pkg/backend/udp"
	"github.com/flannel-io/flannel/pkg/ip"
	"github.com/flannel-io/flannel/pkg/lease"
	"github.com/flannel-io/flannel/pkg/subnet"
)

// twoNodes is a subnet.Manager whose leases never change. What the udp backend does not call is left nil.
type twoNodes struct {
	subnet.Manager
	own, peer lease.Lease
}

func (nodes twoNodes) AcquireLease(context.Context, *lease.LeaseAttrs) (*lease.Lease, error) {
	return &nodes.own, nil
}

func (nodes twoNodes) WatchLeases(ctx context.Context, receiver chan []lease.LeaseWatchResult) error {
	receiver <- []lease.LeaseWatchResult{{Events: []lease.Event{{Type: lease.EventAdded, Lease: nodes.peer}}}}
	<-ctx.Done()
	close(receiver)
	return ctx.Err()
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		log.Fatal("flannel-udp: ", err)
	}
}

func run(args []string) error {
	if len(args) != 6 {
		return errors.New("wrong arguments")
	}
	link, err := net.InterfaceByName(args[0])
	if err != nil {
		return err
	}
	network, err := parseNet(args[1])
	if err != nil {
		return err
	}
	own, err := parseLease(args[2], args[3])
	if err != nil {
		return err
	}
	peer, err := parseLease(args[4], args[5])
	if err != nil {
		return err
	}
	address := own.Attrs.PublicIP.ToIP()
	end, err := udp.New(twoNodes{own: own, peer: peer}, &backend.ExternalInterface{
		Iface: link, IfaceName: link.Name, IfaceAddr: address, ExtAddr: address,
	})
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var waited sync.WaitGroup
	tunnel, err := end.RegisterNetwork(ctx, &waited, &subnet.Config{EnableIPv4: true, Network: network})
	if err != nil {
		return err
	}
	tunnel.Run(ctx)
	return nil
}

func parseLease(cidr, address string) (lease.Lease, error) {
	subnet, err := parseNet(cidr)
	if err != nil {
		return lease.Lease{}, err
	}
	public, err := ip.ParseIP4(address)
	return lease.Lease{EnableIPv4: true, Subnet: subnet, Attrs: lease.LeaseAttrs{PublicIP: public}}, err
}

func parseNet(cidr string) (ip.IP4Net, error) {
	_, network, err := net.ParseCIDR(cidr)
	if err != nil {
		return ip.IP4Net{}, err
	}
	return ip.FromIPNet(network), nil
}
