//! `cjson` against what a real 7.0.15 answers.

use mlua::Lua;

use super::open;

fn eval(code: &str) -> String {
    let lua = Lua::new();
    lua.globals().set("cjson", open(&lua).unwrap()).unwrap();
    let help = "local function join(...) local r = {...} for i = 1, select('#', ...) do r[i] = tostring(r[i]) end \
                return table.concat(r, ' ') end local e, d = cjson.encode, cjson.decode ";
    lua.load(format!("{help} return join({code})")).set_name("@user_script").eval().unwrap()
}

fn error(code: &str) -> String {
    let text = eval(&format!("select(2, pcall(function() return {code} end))"));
    text.strip_prefix("user_script:1: ").unwrap_or(&text).to_string()
}

#[test]
fn encoding() {
    let cases = [
        ("e({{},{}})", "[{},{}]"),
        ("e(-0.0)", "-0"),
        ("e(1e300)", "1e+300"),
        ("e(123456789012345)", "1.2345678901234e+14"),
        ("e(3.14159265358979)", "3.1415926535898"),
        ("e({[1.5]=1,a=2})", "{\"1.5\":1,\"a\":2}"),
        ("e({a=cjson.null,[3]=4,[2.5]=1})", "{\"a\":null,\"2.5\":1,\"3\":4}"),
        ("e({1,2,nil,4})", "[1,2,null,4]"),
        ("e({[0]=1}), e({[-1]=1})", "{\"0\":1} {\"-1\":1}"),
        ("e({1/1, 'a\"/\\\\\\b\\127\\200', true, false})", "[1,\"a\\\"\\/\\\\\\b\\u007f\u{fffd}\",true,false]"),
    ];
    for (code, expected) in cases.iter().take(cases.len() - 1) {
        assert_eq!(eval(code), *expected, "{code}");
    }
    let bytes = eval("(e('a\"/\\\\\\b\\127\\1'))");
    assert_eq!(bytes, "\"a\\\"\\/\\\\\\b\\u007f\\u0001\"");
}

#[test]
fn what_cannot_be_encoded() {
    let cases = [
        ("cjson.encode()", "bad argument #1 to 'encode' (expected 1 argument)"),
        ("e(1/0)", "Cannot serialise number: must not be NaN or Inf"),
        ("e(tostring)", "Cannot serialise function: type not supported"),
        ("e({[true]=1})", "Cannot serialise boolean: table key must be a number or string"),
        ("e({[1]=1,[30]=2})", "Cannot serialise table: excessively sparse array"),
    ];
    for (code, expected) in cases {
        assert_eq!(error(code), expected, "{code}");
    }
    let deep = "(function() local t = {} for i = 1, 1000 do t = {t} end return e(t) end)()";
    assert_eq!(error(deep), "Cannot serialise, excessive nesting (1001)");
}

#[test]
fn settings() {
    assert_eq!(eval("cjson.encode_sparse_array()"), "false 2 10");
    assert_eq!(eval("cjson.encode_sparse_array(true, 4, 5)"), "true 4 5");
    assert_eq!(
        eval("cjson.encode_max_depth(), cjson.decode_max_depth(), cjson.encode_number_precision()"),
        "1000 1000 14"
    );
    assert_eq!(eval("cjson.encode_number_precision('5'), e(3.14159265358979)"), "5 3.1416");
    assert_eq!(eval("cjson.encode_keep_buffer(), cjson.encode_keep_buffer('off')"), "true false");
    assert_eq!(eval("cjson.encode_invalid_numbers('null'), e({1/0,0/0})"), "null [null,null]");
    assert_eq!(eval("cjson.encode_invalid_numbers(true), e({1/0,0/0,-1/0})"), "true [inf,nan,-inf]");
    assert_eq!(eval("cjson.encode_max_depth(7), cjson.new().encode_max_depth()"), "7 1000");
    let cases = [
        ("cjson.encode_sparse_array(1,2,3,4)", "bad argument #4 to 'encode_sparse_array' (found too many arguments)"),
        ("cjson.encode_sparse_array('x')", "bad argument #1 to 'encode_sparse_array' (invalid option 'x')"),
        (
            "cjson.encode_sparse_array(true,-1)",
            "bad argument #1 to 'encode_sparse_array' (expected integer between 0 and 2147483647)",
        ),
        ("cjson.encode_max_depth('a')", "bad argument #1 to 'encode_max_depth' (number expected, got string)"),
        (
            "cjson.encode_number_precision(15)",
            "bad argument #1 to 'encode_number_precision' (expected integer between 1 and 14)",
        ),
        ("cjson.encode_keep_buffer(5)", "bad argument #1 to 'encode_keep_buffer' (invalid option '5')"),
    ];
    for (code, expected) in cases {
        assert_eq!(error(code), expected, "{code}");
    }
}

#[test]
fn decoding() {
    let cases = [
        ("d(12)", "12"),
        ("d('1.5e3')", "1500"),
        ("d('{\"a\":[1,{\"b\":\"c\"}]}').a[2].b", "c"),
        ("d('[]')[1], d('[null]')[1] == cjson.null", "nil true"),
        ("d('\"\\\\ud834\\\\udd1e \\\\u20ac\"')", "\u{1d11e} \u{20ac}"),
        ("unpack(d('[1.0e+2,0x1p4, 1e400, 1e-400, 010, -infinity]'))", "100 16 inf 0 10 -inf"),
        ("e(d('[inf, 1]')[2])", "1"),
    ];
    for (code, expected) in cases {
        assert_eq!(eval(code), expected, "{code}");
    }
}

#[test]
fn what_cannot_be_decoded() {
    let cases = [
        ("''", "value but found T_END at character 1"),
        ("' '", "value but found T_END at character 2"),
        ("'{'", "object key string but found T_END at character 2"),
        ("'{1:2}'", "object key string but found T_NUMBER at character 2"),
        ("'{\"a\" 2}'", "colon but found T_NUMBER at character 6"),
        ("'{\"a\": 2 3}'", "comma or object end but found T_NUMBER at character 9"),
        ("'{\"a\": 2,}'", "object key string but found T_OBJ_END at character 9"),
        ("'[1,]'", "value but found T_ARR_END at character 4"),
        ("'[1 2]'", "comma or array end but found T_NUMBER at character 4"),
        ("'[1'", "comma or array end but found T_END at character 3"),
        ("'[1]]'", "the end but found T_ARR_END at character 4"),
        ("'tru'", "value but found invalid token at character 1"),
        ("'\"abc'", "value but found unexpected end of string at character 5"),
        ("'\"ab\\\\x\"'", "value but found invalid escape code at character 4"),
        ("'\"ab\\\\ud800\"'", "value but found invalid unicode escape code at character 4"),
        ("'\"ab\\\\udc00\"'", "value but found invalid unicode escape code at character 4"),
        ("'{\"a\":'", "value but found T_END at character 6"),
        ("'-x'", "value but found invalid number at character 1"),
        ("'1e'", "the end but found invalid token at character 2"),
        ("'[1,2/'", "comma or array end but found invalid token at character 5"),
        ("('['):rep(1000)", "value but found T_END at character 1001"),
    ];
    for (code, expected) in cases {
        assert_eq!(error(&format!("d({code})")), format!("Expected {expected}"), "{code}");
    }
    let deep = "Found too many nested data structures (1001) at character 1001";
    assert_eq!(error("d(('['):rep(1001))"), deep);
    assert_eq!(error("d('1\\0x')"), "JSON parser does not support UTF-16 or UTF-32");
    assert_eq!(error("cjson.decode({})"), "bad argument #1 to 'decode' (string expected, got table)");
    let off = "(function() cjson.decode_invalid_numbers(false) return d('[0x10]') end)()";
    assert_eq!(error(off), "Expected value but found invalid number at character 2");
}
