package directory

import (
	"encoding/hex"
	"io/fs"
	"strings"
)

// Commit is the commit that a git checkout is at, in its root or in the one folder that the root has; "" where there is none, or
// more than one. It reads what git writes: HEAD, the branch's file, and the packed ones.
func Commit(files fs.FS) string {
	if c := commitOf(files, ".git/"); c != "" {
		return c
	}
	list, err := fs.ReadDir(files, ".")
	if err != nil {
		return ""
	}
	found := ""
	for _, d := range list {
		if !d.IsDir() || strings.HasPrefix(d.Name(), ".") {
			continue
		}
		c := commitOf(files, d.Name()+"/.git/")
		if c == "" {
			continue
		}
		if found != "" {
			return ""
		}
		found = c
	}
	return found
}

func commitOf(files fs.FS, git string) string {
	head := text(files, git+"HEAD")
	ref, symbolic := strings.CutPrefix(head, "ref: ")
	if !symbolic {
		return hash(head)
	}
	if !fs.ValidPath(git + ref) {
		return ""
	}
	if c := hash(text(files, git+ref)); c != "" {
		return c
	}
	for line := range strings.Lines(text(files, git+"packed-refs")) {
		if c, name, ok := strings.Cut(strings.TrimSpace(line), " "); ok && name == ref {
			return hash(c)
		}
	}
	return ""
}

func text(files fs.FS, name string) string {
	info, err := fs.Stat(files, name)
	if err != nil || info.Size() > maxFile {
		return ""
	}
	body, err := fs.ReadFile(files, name)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(body))
}

// hash is s where it is an object's name, SHA-1 or SHA-256.
func hash(s string) string {
	if _, err := hex.DecodeString(s); err != nil || len(s) != 40 && len(s) != 64 {
		return ""
	}
	return s
}
