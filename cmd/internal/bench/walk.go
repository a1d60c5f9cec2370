package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/pkg/sftp"
)

// walk copies everything below from into the folder to, in order.
func (o innerOptions) walk(session *sftp.Client) error {
	walker := session.Walk(o.from)
	for walker.Step() {
		if err := walker.Err(); err != nil {
			return err
		}
		rel, err := filepath.Rel(o.from, walker.Path())
		if err != nil {
			return err
		}
		to := filepath.Join(o.to, filepath.Base(o.from), rel)
		if walker.Stat().IsDir() {
			err = os.MkdirAll(to, 0o755)
		} else {
			err = copyFile(session, walker.Path(), to)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func copyFile(session *sftp.Client, from, to string) (err error) {
	src, err := session.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.Create(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	_, err = io.Copy(dst, src)
	return err
}
