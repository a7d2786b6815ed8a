// Command cri makes one call of a container runtime's interface (CRI v1), as a kubelet would: the request is JSON on
// standard input, the answer JSON on standard output. runtime.v1 of k8s.io/cri-api names the methods and the fields.
//
//	cri SOCKET RuntimeService/RunPodSandbox < request.json
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
	_ "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("usage: cri SOCKET SERVICE/METHOD < request.json")
	}
	if err := call(os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

func call(socket, name string) error {
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(
		protoreflect.FullName("runtime.v1." + strings.ReplaceAll(name, "/", ".")))
	if err != nil {
		return err
	}
	method, ok := found.(protoreflect.MethodDescriptor)
	if !ok {
		return fmt.Errorf("%s is no method", name)
	}
	input, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	request, answer := dynamicpb.NewMessage(method.Input()), dynamicpb.NewMessage(method.Output())
	if err := protojson.Unmarshal(input, request); err != nil {
		return err
	}
	connection, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := connection.Invoke(ctx, "/runtime.v1."+name, proto.Message(request), answer); err != nil {
		return err
	}
	output, err := protojson.Marshal(answer)
	if err != nil {
		return err
	}
	_, err = fmt.Println(string(output))
	return err
}
