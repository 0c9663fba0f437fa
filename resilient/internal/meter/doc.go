// Package meter knows what is measured of Holdfast: which metrics there are
// and how events and statuses become numbers. Packages kvprom and kvotel give
// it a Maker, which knows how their library holds a number; that is all in
// which they differ, so their numbers agree.
//
//	Event  -> Meter.Observe -> Counter.Add, Histogram.Record
//	Status -> Meter.Read    -> []Reading
//
// A label's value is the name of a store or a group, which the program chose,
// or a word from a fixed list. Nothing of a key, a value or an error's text
// becomes one.
package meter
