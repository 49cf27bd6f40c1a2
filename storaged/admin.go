package storaged

import (
	"context"
	"errors"
	"fmt"
	"time"

	"synod/protocol/admin"
	"synod/protocol/takeover"
)

// closeAdminPatience is how long the requests of operators may go on when the node
// stops; a profile takes longer.
const closeAdminPatience = time.Second

func (d *Daemon) startAdmin(ctx context.Context) error {
	ln, err := takeover.Listen(ctx, d.log, d.cfg.AdminAddr)
	if err != nil {
		return fmt.Errorf("listen for admin: %w", err)
	}
	d.admin, err = admin.New(ln, admin.Options{Log: d.log, Ready: d.ready, Failed: d.fatal, Collectors: d.metrics.collectors()})
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	return nil
}

func (d *Daemon) closeAdmin() {
	ctx, cancel := context.WithTimeout(context.Background(), closeAdminPatience)
	defer cancel()
	_ = d.admin.Close(ctx) // cutting off a profile is no fault
}
