// Command fhirwire records exchanges between FHIR clients and servers, validates them, and shows them in a dashboard; it has a
// reference payer server built in. "fhirwire help" lists the commands. Each command is a file; what they do is in the packages
// they wire together.
package main
