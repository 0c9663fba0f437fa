package breaker_test

import (
	"errors"
	"fmt"

	"github.com/holdfastkv/holdfast/breaker"
)

func Example() {
	b, err := breaker.New(breaker.Config{
		Failures: 3,
		OnChange: func(c breaker.Change) { fmt.Printf("%s -> %s: %s\n", c.From, c.To, c.Reason) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer b.Close()

	get := func() error { return errors.New("connection reset") }
	guarded := func() (err error) {
		permit, err := b.Allow()
		if err != nil {
			return err
		}
		outcome := breaker.Failure // what a panic is settled as
		defer func() { permit.Done(outcome, err) }()
		if err = get(); err == nil {
			outcome = breaker.Success
		}
		return err
	}
	for range 4 {
		err = guarded()
		fmt.Println(errors.Is(err, breaker.ErrOpen))
	}
	var open *breaker.OpenError
	if errors.As(err, &open) {
		fmt.Printf("%s, try again after %s\n", open.Reason, open.RetryAfter)
	}
	// Output:
	// false
	// false
	// closed -> open: 3 failed calls in a row
	// false
	// true
	// 3 failed calls in a row, try again after 1s
}

func ExampleBreaker_Force() {
	b, err := breaker.New(breaker.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer b.Close()
	if err := b.Force(breaker.Open, "moving to another rack"); err != nil {
		fmt.Println(err)
		return
	}
	s := b.Status()
	fmt.Println(s.State, s.Forced, s.Reason)
	b.Release()
	fmt.Println(b.State())
	// Output:
	// open true forced open: moving to another rack
	// closed
}

func ExampleBreaker_ReportHealth() {
	b, err := breaker.New(breaker.Config{Fall: 2})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer b.Close()
	down := errors.New("no answer")
	b.ReportHealth(down)
	fmt.Println(b.State())
	b.ReportHealth(down)
	fmt.Println(b.State(), b.Status().Reason)
	// Output:
	// closed
	// open 2 failed health checks in a row
}

func ExampleBreaker_StartCheck() {
	b, err := breaker.New(breaker.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer b.Close()
	b.Doubt() // a call hangs: the next check decides alone
	check := b.StartCheck()
	err = errors.New("no answer") // what asking the store for its health has yielded
	check.Done(err)
	fmt.Println(b.State(), b.Status().Reason)
	// Output: open failed health check confirmed a hung call
}
