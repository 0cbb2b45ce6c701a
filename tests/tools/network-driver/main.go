// SPDX-License-Identifier: Apache-2.0

// Command network-driver plays the two that share a Network on the Seed, both with Gardener's own code:
//
//	network-driver deploy|wait|deploy-wait|migrate|restore|destroy   gardenlet, by its component for Networks
//	network-driver extension                                         the network extension, by the extension library
//
// Each call as gardenlet prints one line of JSON: what it did and what was stored before and after. Whether it went well
// is in there too, so that a refusal can be told from a driver that could not run.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/gardener/gardener/pkg/logger"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "network-driver: what to do? deploy, wait, deploy-wait, migrate, restore, destroy or extension")
		os.Exit(2)
	}
	// What the libraries log goes to standard error, the answer alone to standard output.
	logger := logger.MustNewZapLogger(logger.InfoLevel, logger.FormatJSON)
	log.SetLogger(logger)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()

	operation, arguments := os.Args[1], os.Args[2:]
	if operation == "extension" {
		if err := runExtension(ctx, logger, arguments); err != nil {
			fmt.Fprintln(os.Stderr, "network-driver:", err)
			os.Exit(1)
		}
		return
	}
	report, err := runGardenlet(ctx, logger, operation, arguments)
	if err != nil {
		fmt.Fprintln(os.Stderr, "network-driver:", err)
		os.Exit(1)
	}
	if err := json.NewEncoder(os.Stdout).Encode(report); err != nil {
		panic(err)
	}
}
