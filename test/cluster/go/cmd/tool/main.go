// Command tool is the only program of the test's container images: a pause container, a server that tells callers
// whom it sees, and a client that tells whom it was.
//
//	tool pause            waits for its end, reaping children that a shared process namespace leaves to it
//	tool serve PORT       answers TCP connections and UDP datagrams with the address that they come from, and a newline;
//	                      connections get back what else they send
//	tool ask PORT ADDRESS...
//	                      asks servers, over TCP and UDP: a line each with protocol, server, its own address and
//	                      port, and those that the server saw, or with the error in place of both
//	tool talk PORT ADDRESS...
//	                      keeps a TCP connection to each server, and prints how many times each has answered by now,
//	                      the least of them, once a second; ends when a connection does
//	tool addresses        prints the addresses of eth0, one a line, those of its link left out
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0)
	if err := run(os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 1 && args[0] == "pause":
		return pause()
	case len(args) == 2 && args[0] == "serve":
		return serve(args[1])
	case len(args) >= 3 && args[0] == "ask":
		askAll(args[1], args[2:])
		return nil
	case len(args) >= 3 && args[0] == "talk":
		return talk(args[1], args[2:])
	case len(args) == 1 && args[0] == "addresses":
		return addresses()
	}
	return errors.New("usage: tool pause | serve PORT | ask PORT ADDRESS... | talk PORT ADDRESS... | addresses")
}

func pause() error {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGCHLD)
	for s := range signals {
		if s != syscall.SIGCHLD {
			return nil
		}
		for {
			if pid, _ := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 {
				break
			}
		}
	}
	return nil
}

func serve(port string) error {
	// The first process of a container ignores signals that it does not handle.
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGINT, syscall.SIGTERM)
	listener, err := net.Listen("tcp", ":"+port)
	if err != nil {
		return err
	}
	datagrams, err := net.ListenPacket("udp", ":"+port)
	if err != nil {
		return err
	}
	go answerDatagrams(datagrams)
	go answerConnections(listener)
	<-end
	return nil
}

func answerConnections(listener net.Listener) {
	for {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer connection.Close()
			fmt.Fprintln(connection, connection.RemoteAddr())
			io.Copy(connection, connection)
		}()
	}
}

func answerDatagrams(datagrams net.PacketConn) {
	buffer := make([]byte, 64)
	for {
		_, from, err := datagrams.ReadFrom(buffer)
		if err != nil {
			return
		}
		datagrams.WriteTo([]byte(from.String()+"\n"), from)
	}
}

// All at once, for a policy's denial is a silence that has to be waited out.
func askAll(port string, servers []string) {
	var all sync.WaitGroup
	for _, server := range servers {
		for _, protocol := range []string{"tcp", "udp"} {
			all.Go(func() {
				answer, err := ask(protocol, net.JoinHostPort(server, port))
				if err != nil {
					answer = err.Error()
				}
				fmt.Println(protocol, server, answer)
			})
		}
	}
	all.Wait()
}

func ask(protocol, server string) (string, error) {
	end := time.Now().Add(5 * time.Second)
	dialer := net.Dialer{Deadline: end}
	connection, err := dialer.Dial(protocol, server)
	if err != nil {
		return "", err
	}
	defer connection.Close()
	answers := bufio.NewReader(connection)
	for {
		until := end
		if protocol == "udp" {
			// Datagrams may be lost: ask again.
			if _, err := connection.Write([]byte("?")); err != nil {
				return "", err
			}
			until = time.Now().Add(500 * time.Millisecond)
		}
		connection.SetReadDeadline(until)
		seen, err := answers.ReadString('\n')
		if err == nil {
			return connection.LocalAddr().String() + " " + strings.TrimSpace(seen), nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || time.Now().After(end) {
			return "", err
		}
	}
}

func talk(port string, servers []string) error {
	ended := make(chan error)
	answers := make([]atomic.Int64, len(servers))
	for i, server := range servers {
		go func() { ended <- converse(net.JoinHostPort(server, port), &answers[i]) }()
	}
	for {
		select {
		case err := <-ended:
			return err
		case <-time.After(time.Second):
			least := answers[0].Load()
			for i := range answers {
				least = min(least, answers[i].Load())
			}
			fmt.Println(least)
		}
	}
}

// Ten times a second, for as long as the connection bears it.
func converse(server string, answers *atomic.Int64) error {
	connection, err := net.DialTimeout("tcp", server, 30*time.Second)
	if err != nil {
		return err
	}
	defer connection.Close()
	lines := bufio.NewReader(connection)
	if _, err := lines.ReadString('\n'); err != nil {
		return err
	}
	for {
		// After an outage TCP tries again at times that double: the next may be as far away as all before.
		connection.SetDeadline(time.Now().Add(10 * time.Minute))
		sent := fmt.Sprintln(answers.Load())
		if _, err := io.WriteString(connection, sent); err != nil {
			return err
		}
		got, err := lines.ReadString('\n')
		if err != nil {
			return fmt.Errorf("%s: %w", server, err)
		}
		if got != sent {
			return fmt.Errorf("%s: answers %q to %q", server, got, sent)
		}
		answers.Add(1)
		time.Sleep(100 * time.Millisecond)
	}
}

func addresses() error {
	eth0, err := net.InterfaceByName("eth0")
	if err != nil {
		return err
	}
	all, err := eth0.Addrs()
	if err != nil {
		return err
	}
	for _, address := range all {
		if ip := address.(*net.IPNet).IP; !ip.IsLinkLocalUnicast() {
			fmt.Println(ip)
		}
	}
	return nil
}
