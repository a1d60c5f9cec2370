package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// entry makes a contestant ready to be run in one table.
func (r *rig) entry(c contestant, way *road, data *set, to string) *entry {
	e := &entry{result: result{name: c.name, ours: c.ours, floor: c.floor, factor: 1}}
	from := data
	if c.perFile && way.rtt > 0 && data.part != nil {
		from, e.factor = data.part, data.part.factor
	}
	e.err = r.lacking(c.ours, c.needs)
	e.run = func(context.Context) (*exec.Cmd, error) {
		return c.command(job{rig: r, road: way, from: from.dir, to: to}), nil
	}
	e.after = func(round int) error {
		return arrived(from.dir, filepath.Join(to, filepath.Base(from.dir)), round == 0)
	}
	return e
}

func (r *rig) lacking(ours bool, programs []string) error {
	if ours {
		return r.noBin
	}
	return missing(programs)
}

// each calls measure for every distance and data set that was asked for.
func (r *rig) each(ctx context.Context, measure func(way *road, data *set) error) error {
	for _, rtt := range r.o.rtts {
		way, err := r.road(ctx, rtt)
		if err != nil {
			return err
		}
		for _, name := range r.o.data {
			data, err := r.set(name, rtt > 0)
			if err != nil {
				return err
			}
			if err := measure(way, data); err != nil {
				return err
			}
		}
	}
	return nil
}

// pullSuite fetches each data set into an empty folder.
func pullSuite(ctx context.Context, r *rig, out io.Writer) error {
	return r.each(ctx, func(way *road, data *set) error {
		t := &table{title: fmt.Sprintf("Pull %s, %v", data.name, way), about: data.about}
		to := filepath.Join(r.dir, "to")
		defer func() { _ = os.RemoveAll(to) }()
		for _, c := range pullers() {
			if !r.o.wanted(c.name) || c.floor && way.rtt > 0 {
				continue
			}
			e := r.entry(c, way, data, to)
			e.before = func() error { return fresh(to) }
			t.entries = append(t.entries, e)
		}
		return r.measure(ctx, t, r.o.runs, out)
	})
}

// againSuite repeats a pull when everything is there already.
func againSuite(ctx context.Context, r *rig, out io.Writer) error {
	return r.each(ctx, func(way *road, data *set) error {
		t := &table{title: fmt.Sprintf("Pull %s again, nothing changed, %v", data.name, way), about: data.about}
		base := filepath.Join(r.dir, "again")
		defer func() { _ = os.RemoveAll(base) }()
		for i, c := range pullers() {
			if c.name != "rsync -a" && c.name != "rclone sftp" && !c.ours || !r.o.wanted(c.name) {
				continue
			}
			to := filepath.Join(base, fmt.Sprint(i))
			c.perFile = false // a comparison costs no round trip per file
			e := r.entry(c, way, data, to)
			e.before = func() error { return r.fillOnce(ctx, way, data, c, to) }
			t.entries = append(t.entries, e)
		}
		return r.measure(ctx, t, r.o.runs, out)
	})
}

// fillOnce brings the data to the folder over the shortest way, with the
// contestant itself, so that nothing is left to do for it.
func (r *rig) fillOnce(ctx context.Context, way *road, data *set, c contestant, to string) error {
	if _, err := os.Stat(to); err == nil {
		return nil
	}
	if err := fresh(to); err != nil {
		return err
	}
	near, err := r.road(ctx, 0)
	if err != nil {
		return err
	}
	if c.ours {
		near = way // it may remember per road what it has fetched
	}
	_, err = timed(ctx, c.command(job{rig: r, road: near, from: data.dir, to: to}), r.o.limit)
	return err
}

// measure runs a table and prints it.
func (r *rig) measure(ctx context.Context, t *table, rounds int, out io.Writer) error {
	fmt.Fprintf(r.log, "%s %s\n", time.Now().Format("15:04:05"), t.title)
	if err := r.race(ctx, rounds, t.entries); err != nil {
		return err
	}
	r.tables = append(r.tables, t)
	_, err := fmt.Fprintln(out, t.markdown())
	return err
}
