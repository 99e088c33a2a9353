package engines

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	pgquery "github.com/wasilibs/go-pgquery"
)

// ordinary are functions that every database of the table has, or that are written in SQL in the migration.
var ordinary = strings.Fields(`
	abs array_agg array_length array_position bool_and bool_or btrim cardinality ceil clock_timestamp concat count
	decode encode extract floor gen_random_uuid greatest json_agg json_array_elements json_array_length json_build_array
	json_build_object jsonb_agg jsonb_array_elements jsonb_array_length jsonb_build_object jsonb_each jsonb_object_agg
	least length lower ltrim max md5 min now nullif octet_length position replace row_number round rtrim sha256
	strpos substr substring sum timezone to_char to_json to_jsonb upper date_trunc date_part json_array_elements_text version starts_with
	like_escape make_interval statement_timestamp overlay lag lead rank first_value last_value string_agg every repeat left right lpad trunc mod sign format array_to_string
	array_remove array_append string_to_array unknown quote_ident
	onhand_expect onhand_reserve onhand_moved_since ledger_chunk_movements level_difference product_floor record_external touch_products
	valid_buffers written_by_onhand`)

// functionFeatures are the features that functions are part of, by the start of their names.
var functionFeatures = []struct{ start, feature string }{
	{"pg_advisory", "session advisory locks"}, {"pg_try_advisory", "session advisory locks"}, {"pg_notify", "NOTIFY"},
	{"pg_current_xact_id", "transaction ids and snapshots"}, {"pg_current_snapshot", "transaction ids and snapshots"},
	{"pg_snapshot", "transaction ids and snapshots"}, {"pg_visible_in_snapshot", "transaction ids and snapshots"},
	{"pg_xact", "transaction ids and snapshots"}, {"txid_", "transaction ids and snapshots"}, {"age", "transaction ids and snapshots"},
	{"set_config", "settings of one transaction"}, {"current_setting", "settings of one transaction"},
	{"nextval", "sequences"}, {"setval", "sequences"}, {"currval", "sequences"}, {"pg_sequence", "sequences"}, {"pg_get_serial_sequence", "sequences"},
	{"unnest", "unnest of several arrays"}, {"generate_series", "generate_series"}, {"brin_", "BRIN indexes"},
	{"json_to_recordset", "json_to_recordset and JSON paths"}, {"jsonb_path", "json_to_recordset and JSON paths"},
	{"hashtext", "catalog and statistics functions"}, {"pg_", "catalog and statistics functions"}, {"current_", "catalog and statistics functions"},
	{"to_reg", "catalog and statistics functions"}, {"has_", "catalog and statistics functions"}, {"col_description", "catalog and statistics functions"},
	{"inet_", "catalog and statistics functions"}, {"obj_description", "catalog and statistics functions"},
}

// plainStatements need nothing that is not SQL.
var plainStatements = []string{
	"SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "TransactionStmt", "VariableSetStmt", "VariableShowStmt", "CreateStmt", "DropStmt",
}

// nodeFeatures are the features of nodes of the parse tree that need no closer look.
var nodeFeatures = map[string]string{
	"ListenStmt": "LISTEN", "NotifyStmt": "NOTIFY", "UnlistenStmt": "LISTEN", "CopyStmt": "COPY", "DeclareCursorStmt": "cursors",
	"FetchStmt": "cursors", "ClosePortalStmt": "cursors", "CreateDomainStmt": "domains", "ViewStmt": "views", "LockStmt": "LOCK TABLE",
	"TruncateStmt": "TRUNCATE", "DoStmt": "DO", "WindowDef": "window functions", "onConflictClause": "ON CONFLICT", "agg_filter": "FILTER of aggregates",
	"CollateClause": `COLLATE "C"`, "collClause": `COLLATE "C"`, "AlterTableStmt": "storage of columns",
	"CreateTableAsStmt": "temporary tables", "VacuumStmt": "ANALYZE", "NamedArgExpr": "named arguments",
	"PLpgSQL_stmt_perform": "PL/pgSQL: PERFORM", "PLpgSQL_stmt_getdiag": "PL/pgSQL: GET DIAGNOSTICS", "PLpgSQL_stmt_fors": "PL/pgSQL: FOR over a query",
	"PLpgSQL_stmt_case": "PL/pgSQL: CASE", "PLpgSQL_stmt_dynexecute": "PL/pgSQL: EXECUTE", "PLpgSQL_stmt_return_next": "PL/pgSQL: RETURN NEXT",
}

// plainIndex stands for the B-tree, which every database of the table has.
const plainIndex = "B-tree"

// indexFeatures are the features of the access methods of indexes.
var indexFeatures = map[string]string{"": plainIndex, "btree": plainIndex, "brin": "BRIN indexes", "hash": "hash indexes"}

// found collects features.
type found map[string]bool

// of adds the features of a part of a parse tree.
func (f found) of(part any) {
	switch part := part.(type) {
	case []any:
		for _, item := range part {
			f.of(item)
		}
	case map[string]any:
		for name, inner := range part {
			f.node(name, inner)
			f.of(inner)
		}
	}
}

// node adds the features of one node.
func (f found) node(name string, inner any) {
	if feature := nodeFeatures[name]; feature != "" && inner != nil {
		f[feature] = true
		return
	}
	fields, _ := inner.(map[string]any)
	switch name {
	case "LockingClause":
		f[map[any]string{"LCS_FORUPDATE": "FOR UPDATE", "LCS_FORNOKEYUPDATE": "FOR NO KEY UPDATE", "LCS_FORSHARE": "FOR SHARE", "LCS_FORKEYSHARE": "FOR KEY SHARE"}[fields["strength"]]] = true
		if fields["waitPolicy"] == "LockWaitSkip" {
			f["SKIP LOCKED"] = true
		}
	case "CommonTableExpr":
		query, _ := fields["ctequery"].(map[string]any)
		f.when(query["InsertStmt"] != nil || query["UpdateStmt"] != nil || query["DeleteStmt"] != nil, "WITH that writes")
		f.when(fields["ctematerialized"] == "CTEMaterializeAlways", "MATERIALIZED")
	case "RangeFunction", "RangeSubselect":
		f.when(fields["lateral"] == true, "LATERAL")
		f.when(fields["ordinality"] == true, "WITH ORDINALITY")
	case "FuncCall":
		f[functionFeature(lastName(fields["funcname"]))] = true
	case "A_Indices":
		f.when(fields["is_slice"] == true, "slices of arrays")
	case "ColumnRef":
		f.when(slices.Contains([]string{"xmin", "ctid", "tableoid", "xmax"}, lastName(fields["fields"])), "system columns (xmin)")
	case "CreateTrigStmt":
		f.trigger(fields)
	case "IndexStmt":
		method, _ := fields["accessMethod"].(string)
		f[cmp.Or(indexFeatures[method], "index method "+method)] = true
		delete(f, plainIndex)
		f.when(fields["whereClause"] != nil, "partial indexes")
		f.when(fields["indexIncludingParams"] != nil, "covering indexes")
	case "IndexElem":
		f.when(fields["expr"] != nil, "indexes on expressions")
	case "Constraint":
		f[map[any]string{"CONSTR_IDENTITY": "identity columns", "CONSTR_FOREIGN": "foreign keys", "CONSTR_GENERATED": "generated columns"}[fields["contype"]]] = true
		f.when(fields["deferrable"] == true, "deferrable constraints")
	case "relation":
		f.when(fields["relpersistence"] == "t", "temporary tables")
	case "DefElem":
		f.when(fields["defname"] == "fillfactor", "fillfactor")
	case "CreateFunctionStmt":
		f.function(fields)
	case "TransactionStmt":
		kind, _ := fields["kind"].(string)
		f.when(strings.Contains(kind, "SAVEPOINT") || strings.Contains(kind, "ROLLBACK_TO"), "savepoints")
	default:
		f.when(strings.HasSuffix(name, "Stmt") && name[0] < 'a' && fields != nil && !slices.Contains(plainStatements, name), "statement "+name)
	}
	delete(f, "")
}

func (f found) when(is bool, feature string) {
	if is {
		f[feature] = true
	}
}

// The values of a trigger's fields, from Postgres's catalog/pg_trigger.h.
const (
	triggerTruncate  = 32.0
	triggerInsteadOf = 64.0
)

func (f found) trigger(fields map[string]any) {
	f.when(fields["row"] == true, "row triggers")
	f.when(fields["row"] != true, "statement triggers")
	f.when(fields["transitionRels"] != nil, "transition tables")
	f.when(fields["whenClause"] != nil, "triggers with WHEN")
	f.when(fields["timing"] == triggerInsteadOf, "INSTEAD OF triggers")
	events, _ := fields["events"].(float64)
	f.when(int(events)&int(triggerTruncate) != 0, "TRUNCATE triggers")
}

// function adds the features of a function's language. Those of its body are added by bodies.
func (f found) function(fields map[string]any) {
	raw, _ := json.Marshal(fields["options"]) // a part of parsed JSON
	f.when(strings.Contains(string(raw), `"plpgsql"`), "PL/pgSQL functions")
	f.when(strings.Contains(string(raw), `"sql"`), "SQL functions")
	parameters, _ := json.Marshal(fields["parameters"])
	f.when(strings.Contains(string(parameters), "FUNC_PARAM_TABLE"), "functions that return tables")
}

func functionFeature(name string) string {
	for _, known := range functionFeatures {
		if strings.HasPrefix(name, known.start) {
			return known.feature
		}
	}
	if slices.Contains(ordinary, name) {
		return ""
	}
	return "function " + name
}

// lastName is the last part of a name that may have a schema or a table.
func lastName(list any) string {
	parts, _ := list.([]any)
	if len(parts) == 0 {
		return ""
	}
	last, _ := parts[len(parts)-1].(map[string]any)
	text, _ := last["String"].(map[string]any)
	name, _ := text["sval"].(string)
	return name
}

// featuresOf are the features of a statement, those of a function's body included.
func featuresOf(t *testing.T, s statement) found {
	t.Helper()
	f := found{}
	f.of(s.tree)
	tree, _ := s.tree.(map[string]any)
	function, ok := tree["CreateFunctionStmt"].(map[string]any)
	if !ok {
		return f
	}
	if !f["PL/pgSQL functions"] {
		body, err := parse(functionBody(function))
		require.NoError(t, err, s.text)
		for _, inner := range body {
			f.of(inner.tree)
		}
		return f
	}
	parsed, err := pgquery.ParsePlPgSqlToJSON(s.text)
	require.NoError(t, err, s.text)
	var body any
	require.NoError(t, json.Unmarshal([]byte(parsed), &body))
	f.of(body)
	for _, query := range queries(body) {
		inner, err := parse(asStatement(query))
		require.NoError(t, err, query)
		for _, one := range inner {
			f.of(one.tree)
		}
	}
	return f
}

// functionBody is the text of a function in SQL.
func functionBody(function map[string]any) string {
	options, _ := function["options"].([]any)
	for _, option := range options {
		element, _ := option.(map[string]any)["DefElem"].(map[string]any)
		if element["defname"] != "as" {
			continue
		}
		list, _ := element["arg"].(map[string]any)["List"].(map[string]any)
		items, _ := list["items"].([]any)
		if len(items) > 0 {
			return lastName(items)
		}
	}
	return ""
}

// queries are the expressions and statements in the body of a PL/pgSQL function.
func queries(part any) (list []string) {
	switch part := part.(type) {
	case []any:
		for _, item := range part {
			list = append(list, queries(item)...)
		}
	case map[string]any:
		for name, inner := range part {
			if text, ok := inner.(string); ok && name == "query" {
				list = append(list, text)
			}
			list = append(list, queries(inner)...)
		}
	}
	return list
}

// asStatement makes an expression or an assignment of PL/pgSQL a statement.
func asStatement(query string) string {
	query = strings.TrimSpace(query)
	if target, value, ok := strings.Cut(query, ":="); ok && !strings.ContainsAny(target, "('") {
		query = value
	}
	first, _, _ := strings.Cut(strings.ToUpper(query), " ")
	if slices.Contains([]string{"SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "TABLE"}, strings.TrimSpace(first)) {
		return query
	}
	return "SELECT " + query
}

// TestFeatures: the parse tree shows what a statement needs.
func TestFeatures(t *testing.T) {
	t.Parallel()
	for text, wanted := range map[string][]string{
		"SELECT 1 FROM a FOR NO KEY UPDATE SKIP LOCKED":                    {"FOR NO KEY UPDATE", "SKIP LOCKED"},
		"WITH x AS (DELETE FROM a RETURNING b) SELECT * FROM x":            {"WITH that writes"},
		"SELECT coalesce(max(a), 0), 'FOR UPDATE' FROM b":                  {},
		"LISTEN inventory_change":                                          {"LISTEN"},
		"SELECT pg_try_advisory_lock(1), never_seen(2)":                    {"function never_seen", "session advisory locks"},
		"CREATE INDEX i ON a USING brin (b)":                               {"BRIN indexes"},
		"CREATE INDEX i ON a USING hash (b)":                               {"hash indexes"},
		"CREATE INDEX i ON a USING gist (b)":                               {"index method gist"},
		"CREATE INDEX i ON a (b)":                                          {},
		"CREATE TRIGGER t BEFORE TRUNCATE ON a EXECUTE FUNCTION f()":       {"TRUNCATE triggers", "statement triggers"},
		"CREATE TABLE a (b int GENERATED ALWAYS AS (c + 1) STORED, c int)": {"generated columns"},
		"CREATE EXTENSION x":                                               {"statement CreateExtensionStmt"},
		"INSERT INTO a VALUES (1) ON CONFLICT DO NOTHING":                  {"ON CONFLICT"},
		"CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT unnest(a) FROM b LIMIT 1'": {
			"SQL functions", "unnest of several arrays",
		},
		"CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_notify('a', ''); RETURN null; END $$": {
			"NOTIFY", "PL/pgSQL functions", "PL/pgSQL: PERFORM",
		},
	} {
		parsed, err := parse(text)
		require.NoError(t, err)
		var got []string
		for feature := range featuresOf(t, parsed[0]) {
			got = append(got, feature)
		}
		require.ElementsMatch(t, wanted, got, text)
	}
}
