package retry

import (
	"context"
	"errors"
	"io/fs"
	"time"
)

// Store keeps a State where all processes of a profile can see it. Update calls its function with the present state
// (the zero State if there is none or it cannot be read) while no other process can update, and writes the result
// unless the function fails. Both must be safe for concurrent use and must not wait for long.
type Store interface {
	Load() (State, error)
	Update(func(*State) error) error
}

// Doc is a small file that is read at any time and updated under a lock, such as a document of the keystore.
type Doc interface {
	Read() ([]byte, error)
	Update(ctx context.Context, fn func(old []byte) ([]byte, error)) error
}

// lockWait bounds how long a command waits for another process that is updating the memory.
const lockWait = 2 * time.Second

// StoreIn returns a Store over doc. A document that does not exist (fs.ErrNotExist) is a State in which nothing is
// known.
func StoreIn(doc Doc) Store { return docStore{doc} }

type docStore struct{ doc Doc }

func (d docStore) Load() (State, error) {
	data, err := d.doc.Read()
	if errors.Is(err, fs.ErrNotExist) {
		return State{}, nil
	}
	if err != nil {
		return State{}, err
	}
	return DecodeState(data), nil
}

func (d docStore) Update(fn func(*State) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), lockWait)
	defer cancel()
	return d.doc.Update(ctx, func(old []byte) ([]byte, error) {
		s := DecodeState(old)
		if err := fn(&s); err != nil {
			return nil, err
		}
		return EncodeState(s)
	})
}
