// SPDX-License-Identifier: Apache-2.0

// Command parity writes the inputs our overlap code is tested with: kube-apiserver Deployments made by Gardener's own
// component, together with the Cluster resources gardenlet would store beside them.
//
// Hand-written fixtures would only show what we believe Gardener does. These show what the pinned release does; a new
// release shows up as a diff of the fixtures.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	gardenletfeatures "github.com/gardener/gardener/pkg/gardenlet/features"
)

func main() {
	// Not the global set: libraries Gardener links in have filled that with flags of their own.
	flags := flag.NewFlagSet("parity", flag.ExitOnError)
	out := flags.String("out", "", "directory to write one sub-directory per case into")
	_ = flags.Parse(os.Args[1:])

	if *out == "" || flags.NArg() > 0 {
		flags.Usage()
		os.Exit(2)
	}
	if err := run(context.Background(), *out); err != nil {
		fmt.Fprintln(os.Stderr, "parity:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out string) error {
	gardenletfeatures.RegisterFeatureGates()
	fixRandomness()

	for _, c := range cases() {
		if err := write(ctx, c, filepath.Join(out, c.name)); err != nil {
			return fmt.Errorf("case %s: %w", c.name, err)
		}
	}
	return nil
}

func write(ctx context.Context, c testCase, dir string) error {
	l := c.landscape()
	result, err := l.deploy(ctx)
	if err != nil {
		return err
	}

	files := map[string][]byte{}
	if files["deployment.json"], err = indentedJSON(result.deployment); err != nil {
		return err
	}
	if files["cluster.json"], err = indentedJSON(result.cluster); err != nil {
		return err
	}
	if result.vpnShoot != nil {
		if files["vpn-shoot.json"], err = indentedJSON(result.vpnShoot); err != nil {
			return err
		}
	}
	if c.withProxyConfig {
		files["egress-selector.yaml"] = result.egressSelector
		files["envoy.yaml"] = result.envoy
	}

	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, content := range files {
		if len(content) == 0 {
			return fmt.Errorf("%s is empty", name)
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func indentedJSON(object any) ([]byte, error) {
	compact, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}

	var out bytes.Buffer
	if err := json.Indent(&out, compact, "", "  "); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}
