// Package ig reads FHIR packages: what an implementation guide defines, as facts and without prose.
//
// ReadTGZ and ReadFolder read a package as published, ReadFile a single definition, OpenTable the packed form that this build
// embeds (AppendTable writes it). All give a Package, whose Resources know their canonical at once and are decoded when
// Structure, ValueSet, CodeSystem or SearchParameter is called. Nothing is resolved or judged here: inheritance, expansion
// and slicing belong to profile and terminology. What could not be read is an error that names file and element.
package ig
