// Package postgreskv keeps a store in one table of a PostgreSQL database.
package postgreskv
