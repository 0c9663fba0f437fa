// Package mysqlkv keeps a store in one table.
package mysqlkv
