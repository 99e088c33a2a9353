package storetest

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"syscall"
)

// serverAccount is the account that Postgres runs as: nil for our own. Postgres refuses to run as root.
func serverAccount() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	var lookupErr error
	for _, name := range []string{"postgres", "nobody"} {
		account, err := user.Lookup(name)
		if err != nil {
			lookupErr = err
			continue
		}
		uid, uidErr := strconv.ParseUint(account.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(account.Gid, 10, 32)
		if uidErr == nil && gidErr == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, fmt.Errorf("postgres does not run as root, and there is no other account to run it as: %w", lookupErr)
}

// makeDirectory makes a temporary directory that account owns and can reach. The usual parent may be below a directory
// that only root may enter; then another parent is used.
func makeDirectory(prefix string, account *syscall.Credential) (string, error) {
	parents := []string{os.TempDir(), "/tmp", "/var/tmp", "/dev/shm"}
	var reasons []string
	for _, parent := range parents {
		directory, err := os.MkdirTemp(parent, prefix)
		if err != nil {
			reasons = append(reasons, err.Error())
			continue
		}
		if account == nil {
			return directory, nil
		}
		if err = os.Chown(directory, int(account.Uid), int(account.Gid)); err == nil {
			err = enter(directory, account)
		}
		if err == nil {
			return directory, nil
		}
		reasons = append(reasons, err.Error())
		_ = os.RemoveAll(directory) // empty; the reason above is the one to report
	}
	return "", fmt.Errorf("no directory for its files: %s", strings.Join(reasons, "; "))
}

// enter tries whether account can enter directory: modes, access lists and mounts all decide.
func enter(directory string, account *syscall.Credential) error {
	cmd := exec.Command("/bin/sh", "-c", `cd "$1"`, "sh", directory)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: account}
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("account %d cannot enter %s: %w %s", account.Uid, directory, err, strings.TrimSpace(string(output)))
	}
	return nil
}
