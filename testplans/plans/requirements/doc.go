// Requirements writes testplans/plans/requirements.csv, the list of what the specifications ask for: each requirement by its id with its
// document, strength, who has to hold it and whether traffic can show it.
//
//	go run ./testplans/plans/requirements          writes the list
//	go run ./testplans/plans/requirements -check   says what is wrong: the list is stale, a SHALL is in no class, a class is for nothing
//
// Ids and strengths come from the specification pages, whose text is not copied; classes.txt has the rest. Without the pages it checks
// nothing and says so. It does not say what is covered: fhirwire plans coverage does.
package main
