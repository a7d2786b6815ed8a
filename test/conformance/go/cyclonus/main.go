// cyclonus' cases as its `generate` runs them, but for one thing: each pod tries all its connections in one go
// (cyclonus-worker), where `generate` executes a command in a pod for each. Thousands of these take hours.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"regexp"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/mattfenwick/cyclonus/pkg/connectivity"
	"github.com/mattfenwick/cyclonus/pkg/connectivity/probe"
	"github.com/mattfenwick/cyclonus/pkg/generator"
	"github.com/mattfenwick/cyclonus/pkg/kube"
)

var (
	namespaces = []string{"x", "y", "z"}
	pods       = []string{"a", "b", "c"}
	ports      = []int{80, 81}
	// No kernel without the module speaks SCTP.
	protocols = []v1.Protocol{v1.ProtocolTCP, v1.ProtocolUDP}
)

// A case's end, as test/conformance/suite.ts has it.
type outcome struct {
	Name    string  `json:"name"`
	Outcome string  `json:"outcome"`
	Message string  `json:"message"`
	Seconds float64 `json:"seconds"`
}

func main() {
	only := flag.String("only", "", "cases that match this regular expression")
	report := flag.String("report", "", "file for the outcomes, written after each case")
	flag.Parse()
	pattern, err := regexp.Compile(*only)
	must(err)

	// From KUBECONFIG.
	kubernetes, err := kube.NewKubernetesForContext("")
	must(err)
	const podSeconds = 300
	const inBatches = true
	resources, err := probe.NewDefaultResources(kubernetes, namespaces, pods, ports, protocols, nil, podSeconds, inBatches, "")
	must(err)
	interpreter := connectivity.NewInterpreter(kubernetes, resources, &connectivity.InterpreterConfig{
		ResetClusterBeforeTestCase:       true,
		VerifyClusterStateBeforeTestCase: true,
		BatchJobs:                        inBatches,
		KubeProbeRetries:                 2,
		PerturbationWaitSeconds:          1,
		// What a pod sends to itself never leaves it.
		IgnoreLoopback: true,
	})
	printer := &connectivity.Printer{IgnoreLoopback: true}

	target, err := resources.GetPod("z", "c")
	must(err)
	const allowDNS = true
	cases := generator.NewTestCaseGenerator(allowDNS, target.IP, namespaces, nil, nil).GenerateTestCases()
	outcomes := []outcome{}
	for number, testCase := range cases {
		name := fmt.Sprintf("%d: %s (%s)", number+1, testCase.Description, strings.Join(testCase.Tags.Keys(), ", "))
		if !pattern.MatchString(name) {
			continue
		}
		begin := time.Now()
		result := interpreter.ExecuteTestCase(testCase)
		printer.PrintTestCaseResult(result)
		entry := outcome{Name: name, Outcome: "passed", Seconds: time.Since(begin).Seconds()}
		if result.Err != nil {
			entry.Outcome, entry.Message = "failed", result.Err.Error()
		} else if !result.Passed(true) {
			entry.Outcome, entry.Message = "failed", wrong(result)
		}
		outcomes = append(outcomes, entry)
		fmt.Printf("%s: %s %s\n", entry.Outcome, entry.Name, entry.Message)
		text, err := json.Marshal(outcomes)
		must(err)
		must(os.WriteFile(*report, text, 0o644))
	}
}

func wrong(result *connectivity.Result) string {
	var steps []string
	for number, step := range result.Steps {
		if count := step.LastComparison().ValueCounts(true)[connectivity.DifferentComparison]; count > 0 {
			steps = append(steps, fmt.Sprintf("%d connections in step %d", count, number+1))
		}
	}
	return "not as expected: " + strings.Join(steps, ", ")
}

func must(err error) {
	if err != nil {
		log.Fatalf("%+v", err)
	}
}
