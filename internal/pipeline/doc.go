// Package pipeline is the order of work after an exchange was recorded: classify, store, publish, inspect, store the report,
// publish.
//
// Use New, give the Pipeline to the recorder as its sink, and run it with Run until shutdown. Putting never waits for
// inspection: the queue between them is a hint that may be dropped, and what is stored without a report at this rules
// version is what remains to be done, also after a restart. It neither knows rules nor stores anything itself.
package pipeline
