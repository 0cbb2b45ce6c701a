// SPDX-License-Identifier: Apache-2.0

// Command chart-render does to a packaged chart what gardener-operator and gardenlet do: it renders the chart with
// Gardener's renderer, which is not Helm's command, splits it as it is stored for gardener-resource-manager, and gives its
// Deployments the kubeconfig of the garden where that is asked for.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/version"

	"github.com/gardener/gardener/pkg/chartrenderer"
	gardenerutils "github.com/gardener/gardener/pkg/utils/gardener"
)

func main() {
	flags := flag.NewFlagSet("chart-render", flag.ExitOnError)
	archive := flags.String("archive", "", "the packaged chart")
	name := flags.String("name", "", "the name of the Extension or ControllerRegistration")
	namespace := flags.String("namespace", "", "the namespace of the release")
	values := flags.String("values", "{}", "the values, JSON")
	inject := flags.Bool("inject-garden-kubeconfig", false, "whether Deployments get the kubeconfig of the garden")
	_ = flags.Parse(os.Args[1:])

	if *archive == "" || *name == "" || *namespace == "" || flags.NArg() > 0 {
		flags.Usage()
		os.Exit(2)
	}
	objects, err := render(*archive, *name, *namespace, *values, *inject)
	if err != nil {
		fmt.Fprintln(os.Stderr, "chart-render:", err)
		os.Exit(1)
	}
	_, _ = os.Stdout.Write(objects)
}

func render(path, name, namespace, text string, inject bool) ([]byte, error) {
	archive, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var values map[string]any
	if err := json.Unmarshal([]byte(text), &values); err != nil {
		return nil, fmt.Errorf("values: %w", err)
	}
	renderer := chartrenderer.NewWithServerVersion(&version.Info{Major: "1", Minor: "36", GitVersion: "v1.36.0"})
	release, err := renderer.RenderArchive(archive, name, namespace, values)
	if err != nil {
		return nil, err
	}
	data := release.AsSecretData()
	if inject {
		groups := []string{appsv1.GroupName, batchv1.GroupName}
		if err := gardenerutils.MutateObjectsInSecretData(data, namespace, groups, func(object runtime.Object) error {
			return gardenerutils.InjectGenericGardenKubeconfig(
				object, "generic-token-kubeconfig", "shoot-access-extension-admission-"+name, gardenerutils.VolumeMountPathGenericKubeconfig,
			)
		}); err != nil {
			return nil, err
		}
	}
	keys := make([]string, 0, len(data))
	for key := range data {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	var all bytes.Buffer
	for _, key := range keys {
		fmt.Fprintf(&all, "---\n%s\n", data[key])
	}
	return all.Bytes(), nil
}
