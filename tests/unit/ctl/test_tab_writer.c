// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/tab_writer.h"
#include "ctl/table.h"

static void expect_aligned(struct tab_writer *writer, const char *text, const char *expected)
{
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(65536);
	tab_writer_write(writer, text, &out);
	assert_string_equal(strbuf_text(&out), expected);
}

static void columns_have_a_minimum_and_padding(void **state)
{
	(void)state;
	struct tab_writer writer = TAB_WRITER_TABLE;
	expect_aligned(&writer, "NAME\tA\tB\nweb-0\t1\tlast\n", "NAME    A     B\nweb-0   1     last\n");
	tab_writer_done(&writer);
}

static void widths_are_remembered(void **state)
{
	(void)state;
	struct tab_writer writer = TAB_WRITER_TABLE;
	expect_aligned(&writer, "a-long-name\tx\n", "a-long-name   x\n");
	expect_aligned(&writer, "b\ty\n", "b             y\n");
	expect_aligned(&writer, "an-even-longer-name\tz\n", "an-even-longer-name   z\n");
	expect_aligned(&writer, "c\tq\n", "c                     q\n");
	tab_writer_done(&writer);
}

static void a_line_without_the_cell_ends_a_column(void **state)
{
	(void)state;
	struct tab_writer writer = TAB_WRITER_DESCRIBE;
	expect_aligned(&writer, "Name:\tx\nData\nmuch longer:\ty\n", "Name:  x\nData\nmuch longer:  y\n");
	tab_writer_done(&writer);
}

static void characters_count_and_not_bytes(void **state)
{
	(void)state;
	struct tab_writer writer = TAB_WRITER_DESCRIBE;
	expect_aligned(&writer, "\xc3\xa4\xc3\xb6\tx\nab\ty\n", "\xc3\xa4\xc3\xb6  x\nab  y\n");
	tab_writer_done(&writer);
}

static struct json *parse(struct arena *arena, const char *text)
{
	struct json *value = NULL;
	assert_int_equal(json_parse(arena, text, strlen(text), NULL, &value, NULL), 0);
	return value;
}

static const char table_text[] =
        "{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/"
        "v1\",\"columnDefinitions\":[{\"name\":\"Name\",\"priority\":0},"
        "{\"name\":\"Ready\",\"priority\":0},{\"name\":\"Node\",\"priority\":1}],\"rows\":["
        "{\"cells\":[\"web-0\",\"1/"
        "1\",\"n1\"],\"object\":{\"metadata\":{\"name\":\"web-0\",\"namespace\":\"d\",\"labels\":{\"b\":\"2\",\"a\":"
        "\"1\"}}}},"
        "{\"cells\":[\"x\\ny\",null,3],\"object\":{\"metadata\":{\"name\":\"x\",\"namespace\":\"d\"}}}]}";

static void expect_table(const struct table_options *options, const char *expected)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(65536);
	struct table_printer printer;
	table_printer_init(&printer, arena, options);
	table_print(&printer, parse(arena, table_text), NULL, &out);
	assert_string_equal(strbuf_text(&out), expected);
	table_printer_done(&printer);
}

static void tables_hide_wide_columns(void **state)
{
	(void)state;
	expect_table(&(struct table_options){0}, "NAME    READY\nweb-0   1/1\nx...    <none>\n");
	expect_table(&(struct table_options){.wide = true, .no_headers = true},
	             "web-0   1/1      n1\nx...    <none>   3\n");
}

static void tables_take_more_columns(void **state)
{
	(void)state;
	const char *const columns[] = {"example.org/a", "a", NULL};
	expect_table(&(struct table_options){.with_namespace = true, .show_labels = true, .kind_prefix = "pod/"},
	             "NAMESPACE   NAME        READY    LABELS\nd           pod/web-0   1/1      a=1,b=2\nd           "
	             "pod/x...    <none>   <none>\n");
	expect_table(&(struct table_options){.label_columns = columns},
	             "NAME    READY    A     A\nweb-0   1/1            1\nx...    <none>         \n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(columns_have_a_minimum_and_padding),
	        cmocka_unit_test(widths_are_remembered),
	        cmocka_unit_test(a_line_without_the_cell_ends_a_column),
	        cmocka_unit_test(characters_count_and_not_bytes),
	        cmocka_unit_test(tables_hide_wide_columns),
	        cmocka_unit_test(tables_take_more_columns),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
