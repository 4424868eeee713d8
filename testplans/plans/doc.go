// Package plans holds the test plans that are built in: GUIDE/VERSION/TOPIC.yaml, each with TOPIC.txtar, its example traffic.
//
// All lists the files; planfile reads them. The package judges nothing: its tests run every example of every plan.
package plans
