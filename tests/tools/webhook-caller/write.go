// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Updates between a creation and the deletion that makes room for the next one.
const updates = 5

// write lets one writer a namespace try, create, update and delete a Deployment until the end.
func write(ctx context.Context, o options, report *report) (func(), error) {
	desired := &appsv1.Deployment{}
	if err := read(o.deployment, desired); err != nil {
		return nil, err
	}
	config, err := clientcmd.BuildConfigFromFlags("", o.kubeconfig)
	if err != nil {
		return nil, err
	}
	config.QPS = -1
	config.WarningHandler = rest.NoWarnings{}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	var writers sync.WaitGroup
	for _, namespace := range strings.Split(o.namespaces, ",") {
		w := &writer{client: client, desired: desired.DeepCopy(), report: report, pause: o.pause}
		w.desired.Namespace, w.desired.ResourceVersion, w.desired.UID = namespace, "", ""
		writers.Go(func() {
			for ctx.Err() == nil {
				w.round(ctx)
			}
		})
	}
	return writers.Wait, nil
}

type writer struct {
	client  kubernetes.Interface
	desired *appsv1.Deployment
	report  *report
	pause   time.Duration
	writes  int
}

func (w *writer) round(ctx context.Context) {
	// Each call ends on its own, also when no further one shall begin.
	background := context.Background()
	deployments := w.client.AppsV1().Deployments(w.desired.Namespace)
	w.call(func() (*appsv1.Deployment, error) {
		return deployments.Create(background, w.desired, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	})
	stored := w.call(func() (*appsv1.Deployment, error) {
		return deployments.Create(background, w.desired, metav1.CreateOptions{})
	})
	for range updates {
		if stored == nil || ctx.Err() != nil {
			break
		}
		// What gardenlet wants, which knows nothing of what was added.
		changed := stored.DeepCopy()
		changed.Spec = *w.desired.Spec.DeepCopy()
		changed.Spec.Template.Annotations["written"] = fmt.Sprint(w.writes)
		dryRun := w.writes%2 == 0
		updated := w.call(func() (*appsv1.Deployment, error) {
			options := metav1.UpdateOptions{}
			if dryRun {
				options.DryRun = []string{metav1.DryRunAll}
			}
			return deployments.Update(background, changed, options)
		})
		if updated != nil && !dryRun {
			stored = updated
		}
	}
	if stored == nil {
		return
	}
	// No webhook is called for it, so it is not counted either.
	if err := deployments.Delete(background, w.desired.Name, metav1.DeleteOptions{}); err != nil {
		w.report.done(0, fmt.Errorf("deletion: %w", err))
	}
}

// call counts a write, which fails too when the webhook was not called: then there is no container more.
func (w *writer) call(write func() (*appsv1.Deployment, error)) *appsv1.Deployment {
	start := time.Now()
	result, err := write()
	w.writes++
	if err == nil && len(result.Spec.Template.Spec.Containers) <= len(w.desired.Spec.Template.Spec.Containers) {
		err = fmt.Errorf("the webhook added no container")
	}
	w.report.done(time.Since(start), err)
	time.Sleep(pause(w.pause))
	if err != nil {
		return nil
	}
	return result
}
