// Requirements writes the table of what the specifications ask of a server: each SHALL by its id, the tests that hold it, and
// those that are left out with the reason.
//
//	go run ./reference/requirements          writes reference/REQUIREMENTS.md
//	go run ./reference/requirements -check   says what is wrong: the table is stale, a SHALL has neither test nor reason
//	go run ./reference/requirements -run     runs the tests and prints the table with their results
//
// Ids and strengths come from the specification pages, whose text is not copied; tests say which ids they hold in their comments
// and names ("FORM-SP-01 to FORM-SP-27", "P2P-TLS-04, 05"); leftout.txt has the rest. Without the pages it checks nothing
// and says so.
package main
