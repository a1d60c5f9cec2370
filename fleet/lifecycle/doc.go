// Package lifecycle changes VMs through the API: pause, resume and branch. Only
// the API can do these, so the cache never stands in for it; what the API says
// afterwards is what is reported, and new VMs have their keys recorded before
// anybody needs them.
//
// It never repeats a request that carries no id of ours once that may have
// reached the API.
package lifecycle
