// Uscore writes the plan for servers of US Core 3.1.1 with its example traffic: what the guide's CapabilityStatement expects of each type,
// a step for each read, search parameter and combination.
//
//	go run ./testplans/plans/uscore          writes testplans/plans/us-core/3.1/server.yaml and server.txtar
//	go run ./testplans/plans/uscore -check   says whether they are current
//
// Types, parameters, combinations and strengths come from the guide's package; how a match is recognized is in params.go, and the sample
// resources are those of the client's plan. The plan's play, how the runner plays it, is written by hand at the end of server.yaml and kept. Without the package it checks nothing and says so. The files are vetted and run like every
// other plan's.
package main
