package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// What a process may do with a file or a folder.
const (
	mayWrite = 2 | 1 // make and replace files in a folder
	mayUse   = 4 | 2 // read and write a file
)

// Advice says what is in the way of a [File] at a path, for the user of this process
// and as things are now; "": nothing is. It makes and changes nothing.
func Advice(path string) string { return advice(path, access) }

func advice(path string, access func(path string, mode uint32) error) string {
	if err := regular(path); err != nil {
		return err.Error()
	}
	if _, err := os.Lstat(path); err == nil && access(path, mayUse) != nil {
		return fmt.Sprintf("the file %s cannot be read and written by this user", path)
	}
	folder := filepath.Dir(path)
	there := folder
	info, err := os.Stat(there)
	for errors.Is(err, fs.ErrNotExist) && there != filepath.Dir(there) {
		there = filepath.Dir(there)
		info, err = os.Stat(there)
	}
	switch {
	case err != nil:
		return err.Error()
	case !info.IsDir():
		return there + " is no folder"
	case access(there, mayWrite) != nil && there == folder:
		return fmt.Sprintf("the folder %s cannot be written by this user", folder)
	case access(there, mayWrite) != nil:
		return fmt.Sprintf("the folder %s does not exist, and cannot be made by this user", folder)
	case there != folder:
		return fmt.Sprintf("the folder %s does not exist; attache makes it when it starts", folder)
	}
	return ""
}
