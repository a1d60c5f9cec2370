package keystore

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"
)

// envelope is what record.json holds: the record and a checksum over its exact
// bytes and the version, so that any changed byte is noticed.
type envelope struct {
	Version int             `json:"version"`
	Sum     string          `json:"sum"`
	Record  json.RawMessage `json:"record"`
}

func sha(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

const sumPrefix = "sha256:"

func recordSum(version int, body []byte) string {
	return sumPrefix + sha(append([]byte("vers-fleet record "+strconv.Itoa(version)+"\n"), body...))
}

func encodeRecord(r Record) ([]byte, error) {
	r.Version = RecordVersion
	body, err := json.Marshal(r)
	if err != nil {
		return nil, invalid("write record", "%v", err)
	}
	out, err := json.Marshal(envelope{Version: RecordVersion, Sum: recordSum(RecordVersion, body), Record: body})
	return append(out, '\n'), err
}

// decodeRecord reads a record of the VM id. A record that a newer version
// wrote is read as far as this one understands it; its checksum is verified
// when it is of the kind known here. All failures are KindDamaged.
func decodeRecord(id, path string, data []byte) (Record, error) {
	damaged := func(why string) (Record, error) {
		return Record{}, &Error{Kind: KindDamaged, Op: "read record", Path: path, Why: why}
	}
	var e envelope
	if err := json.Unmarshal(data, &e); err != nil {
		return damaged("it is not valid JSON")
	}
	if e.Version < 1 {
		return damaged("it has no version")
	}
	known := e.Version <= RecordVersion || strings.HasPrefix(e.Sum, sumPrefix)
	if known && e.Sum != recordSum(e.Version, e.Record) {
		return damaged("its checksum is wrong")
	}
	var r Record
	if err := json.Unmarshal(bytes.TrimSpace(e.Record), &r); err != nil && e.Version <= RecordVersion {
		return damaged("its fields are malformed")
	}
	if r.VMID != id {
		return damaged("it belongs to another VM")
	}
	r.Version = e.Version
	return r, nil
}
