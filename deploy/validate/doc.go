// Package validate has no code: its tests check the files of deploy against the programs and types that read them. It is a
// module of its own, since Helm, Kustomize and the types of Kubernetes are no dependencies of the product.
//
//	make manifests
package validate
