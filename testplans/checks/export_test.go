package checks

// Skim gives the resources that skim finds, as type and text.
func Skim(text []byte) (types, texts []string, ok bool) {
	found, ok := skim(text)
	for _, r := range found {
		types, texts = append(types, string(r.typ)), append(texts, string(r.text))
	}
	return types, texts, ok
}

// SkimLine is Skim for a line of a file, with its id.
func SkimLine(line []byte) (typ, id, text string, ok bool) {
	r, ok := skimLine(line)
	return string(r.typ), string(r.id), string(r.text), ok
}

// LineOf is what the checks of files ask of a line.
var LineOf = lineOf
