package fhirpath

// kinds says in the table of functions what a function takes and gives, for the static check. Zero is no statement.
type kinds uint16

const (
	isBoolean kinds = 1 << iota
	isString
	isInteger
	isDecimal
	isDate
	isDateTime
	isTime
	isQuantity
	isExtension
	asInput        // as its input
	asArgument     // as its first argument
	asTypeArgument // the type that it names
	isAny
	isNumber = isInteger | isDecimal
)
