// Command gardenlet-write writes a Deployment to an API server the way gardenlet does: with Gardener's own helper it
// reads the stored object, replaces labels and spec as a whole, and sends the difference as a JSON merge patch.
//
// It prints what happened and the object's generation before and after.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"

	"github.com/gardener/gardener/pkg/controllerutils"
	"github.com/gardener/gardener/pkg/resourcemanager/controller/garbagecollector/references"
	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func main() {
	kubeconfig := flag.String("kubeconfig", "", "kubeconfig of the API server")
	file := flag.String("f", "", "the Deployment that gardenlet wants, JSON")
	flag.Parse()

	if err := write(context.Background(), *kubeconfig, *file); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func write(ctx context.Context, kubeconfig, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	desired := &appsv1.Deployment{}
	if err := json.Unmarshal(text, desired); err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	c, err := client.New(config, client.Options{})
	if err != nil {
		return err
	}

	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: desired.Name, Namespace: desired.Namespace}}
	stored := deployment.DeepCopy()
	if err := c.Get(ctx, client.ObjectKeyFromObject(stored), stored); client.IgnoreNotFound(err) != nil {
		return err
	}
	result, err := controllerutils.GetAndCreateOrMergePatch(ctx, c, deployment, func() error {
		deployment.Labels = desired.Labels
		deployment.Spec = *desired.Spec.DeepCopy()
		return references.InjectAnnotations(deployment)
	})
	if err != nil {
		if status := apierrors.APIStatus(nil); asStatus(err, &status) {
			return fmt.Errorf("%s: %s", status.Status().Reason, status.Status().Message)
		}
		return err
	}
	fmt.Printf("%s %d %d\n", result, stored.Generation, deployment.Generation)
	return nil
}

func asStatus(err error, status *apierrors.APIStatus) bool {
	found, ok := err.(apierrors.APIStatus)
	*status = found
	return ok
}
