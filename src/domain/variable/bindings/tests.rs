use serde_json::json;

use super::*;
use crate::domain::variable::{Candidate, Scope, Source, Variable, time_function};

fn names() -> Map<String, Value> {
    let names = json!({
        "release": {"version": "1.4.2"}, "environment": {"name": "dev"}, "project": {"name": "checkout"},
        "packages": {"api": {"image": "ghcr.io/acme/checkout@sha256:1"}, "my-worker": {"version": "2"}},
    });
    names.as_object().unwrap().clone()
}

fn reference(name: &str, from: SecretPlace) -> SecretReference {
    SecretReference { name: name.into(), key: "password".into(), from }
}

fn declared(variables: &[(&str, Content)]) -> Vec<Declared> {
    let variable = |(name, content): &(&str, Content)| Variable {
        name: (*name).into(),
        values: vec![Candidate { content: content.clone(), scope: Scope::default() }],
        prompt: None,
    };
    vec![Declared { source: Source::Project, variables: variables.iter().map(variable).collect() }]
}

fn plain(value: Value) -> Content {
    Content::Value(value)
}

/// What a text becomes with these variables.
fn text(variables: &[(&str, Content)], text: &str) -> Result<Text, Fault> {
    let secrets = Secrets::from([
        (reference("db", SecretPlace::Space), Ok(SecretText::new("hunter2".into(), "uid"))),
        (reference("gone", SecretPlace::Space), Err("Secret gone does not exist in this space: create it".into())),
    ]);
    let (declared, names) = (declared(variables), names());
    let mut bindings = Bindings::new((&declared, &[]), &Subject::default(), (&names, &secrets));
    bindings.text(text).map(|text| text.expect("an expression"))
}

fn value(text: &str) -> Value {
    let variables = [
        ("NAME", plain(json!("World"))),
        ("REPLICAS", plain(json!(3))),
        ("ON", plain(json!(true))),
        ("HOSTS", plain(json!(["a", "b", "c"]))),
        ("LABELS", plain(json!({"team": "shop", "tier": 1}))),
        ("GREETING", plain(json!("Hello ${{ variables.NAME }}!"))),
        ("NESTED", plain(json!({"greeting": "${{ variables.GREETING }}", "count": ["${{ variables.REPLICAS }}"]}))),
    ];
    match self::text(&variables, text) {
        Ok(Text::Plain(value)) => value,
        other => panic!("{text}: {other:?}"),
    }
}

fn fault(variables: &[(&str, Content)], expression: &str) -> (FaultReason, String) {
    let fault = text(variables, &format!("${{{{ {expression} }}}}")).unwrap_err();
    (fault.reason, fault.to_string())
}

#[test]
fn a_text_that_is_one_expression_keeps_its_type_and_any_other_is_a_text() {
    assert_eq!(value("${{ variables.REPLICAS }}"), json!(3));
    assert_eq!(value("${{ variables.ON }}"), json!(true));
    assert_eq!(value("${{ variables.HOSTS }}"), json!(["a", "b", "c"]));
    assert_eq!(value("${{ variables.LABELS }}"), json!({"team": "shop", "tier": 1}));
    assert_eq!(value("x${{ variables.REPLICAS }}"), json!("x3"));
    assert_eq!(value("$${{ variables.NAME }}"), json!("${{ variables.NAME }}"));
}

#[test]
fn values_may_use_other_variables_also_inside_lists_and_maps() {
    assert_eq!(value("${{ variables.GREETING }}"), json!("Hello World!"));
    assert_eq!(value("${{ variables.NESTED }}"), json!({"greeting": "Hello World!", "count": [3]}));
    assert_eq!(value("${{ variables.NESTED.greeting }}"), json!("Hello World!"));
}

#[test]
fn every_name_of_the_design_has_a_value() {
    assert_eq!(value("${{ release.version }}"), json!("1.4.2"));
    assert_eq!(value("${{ packages.api.image }}"), json!("ghcr.io/acme/checkout@sha256:1"));
    assert_eq!(value("${{ packages['my-worker'].version }}"), json!("2"));
    assert_eq!(value("${{ project.name }}-${{ environment.name }}"), json!("checkout-dev"));
}

#[test]
fn operators_functions_and_macros_do_what_cel_says() {
    for (expression, expected) in [
        ("1 + 2 * 3 - 4 / 2", json!(5)),
        ("7 % 4", json!(3)),
        ("-variables.REPLICAS", json!(-3)),
        ("1.5 + 1", json!(2.5)),
        ("'a' + 'b' == 'ab' && !false", json!(true)),
        ("1 == 1.0 && [1] == [1.0] && {'a': 1} == {'a': 1}", json!(true)),
        ("'b' in variables.HOSTS && 'team' in variables.LABELS && !('x' in variables.LABELS)", json!(true)),
        ("true || 1 / 0 == 1", json!(true)),
        ("1 / 0 == 1 || true", json!(true)),
        ("environment.name == 'dev' ? 1 : 2", json!(1)),
        ("has(variables.LABELS) && has(variables.LABELS.team) && !has(variables.LABELS.x)", json!(true)),
        ("variables.HOSTS.map(h, h + '!')", json!(["a!", "b!", "c!"])),
        ("variables.HOSTS.filter(h, h != 'b')", json!(["a", "c"])),
        ("variables.HOSTS.map(h, h != 'b', h.upper())", json!(["A", "C"])),
        ("variables.HOSTS.exists(h, h == 'b') && variables.HOSTS.all(h, size(h) == 1)", json!(true)),
        ("variables.HOSTS.exists_one(h, h == 'b')", json!(true)),
        ("[1, 2].map(x, [3, 4].map(y, x * y))", json!([[3, 4], [6, 8]])),
        ("variables.HOSTS.join(',')", json!("a,b,c")),
        ("'a,b'.split(',')[1]", json!("b")),
        ("'aXbX'.replace('X', '-').upper().lower().trim()", json!("a-b-")),
        ("'v' + string(variables.REPLICAS)", json!("v3")),
        ("int('3') + int(2.9) + int(variables.REPLICAS)", json!(8)),
        ("double('1.5')", json!(1.5)),
        ("type(1)", json!("int")),
        (
            "'checkout'.matches('^check') && 'abc'.startsWith('a') && 'abc'.endsWith('c') && 'abc'.contains('b')",
            json!(true),
        ),
        ("base64('abc') + base64Decode('YWJj')", json!("YWJjabc")),
        ("json(variables.LABELS)", json!("{\"team\":\"shop\",\"tier\":1}")),
        ("json(variables.HOSTS)", json!("[\"a\",\"b\",\"c\"]")),
        ("yaml({'a': 1})", json!("a: 1\n")),
        ("sha256('')", json!("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")),
        ("semver('v1.4.2-rc.1').major + semver(release.version).minor", json!(5)),
        ("semver('v1.4.2-rc.1').prerelease", json!("rc.1")),
        ("semver('v1.2').minor * 100 + semver('1.2').patch", json!(200)),
        ("semver('1.2.3.4').revision * 10 + semver('1.2.3').revision", json!(40)),
        ("semver('1.2.3+b5').build", json!("b5")),
        ("default(variables.LABELS.missing, 'x') + default(variables.NAME, 'y')", json!("xWorld")),
        ("default(null, 1)", json!(1)),
        ("'häuser'.substring(1, 3) + 'abc'.substring(1)", json!("äubc")),
        ("'' == '' ? variables.HOSTS[0] : variables.HOSTS[99]", json!("a")),
    ] {
        assert_eq!(value(&format!("${{{{ {expression} }}}}")), expected, "{expression}");
    }
}

/// Each function of CEL's standard library that is about times and bytes.
#[test]
fn timestamps_durations_and_bytes_are_used_inside_of_expressions_and_land_as_texts_and_numbers() {
    for (expression, expected) in [
        ("timestamp('2026-01-31T12:00:00+01:00')", json!("2026-01-31T11:00:00Z")),
        ("timestamp(timestamp('2026-01-31T12:00:00.5Z'))", json!("2026-01-31T12:00:00.5Z")),
        ("timestamp(0) + duration('36h')", json!("1970-01-02T12:00:00Z")),
        ("duration('1h') + timestamp(0) - duration('1s')", json!("1970-01-01T00:59:59Z")),
        ("timestamp('2026-03-01T00:00:00Z') - timestamp('2026-02-01T00:00:00Z')", json!("2419200s")),
        ("int(timestamp('2026-01-01T00:00:00Z')) + 1", json!(1_767_225_601)),
        ("string(timestamp(0)) + '!'", json!("1970-01-01T00:00:00Z!")),
        ("timestamp('2026-01-01T00:00:00Z') < timestamp('2026-01-02T00:00:00Z')", json!(true)),
        ("timestamp('2026-01-01T01:00:00+01:00') == timestamp('2026-01-01T00:00:00Z')", json!(true)),
        ("timestamp(0) != timestamp(1) && timestamp(0) != 'x'", json!(true)),
        ("timestamp('2026-05-28T07:08:09.123Z').getFullYear()", json!(2026)),
        ("timestamp('2026-05-28T07:08:09.123Z').getMonth()", json!(4)),
        ("timestamp('2026-05-28T07:08:09.123Z').getDate()", json!(28)),
        ("timestamp('2026-05-28T07:08:09.123Z').getDayOfMonth()", json!(27)),
        ("timestamp('2026-05-28T07:08:09.123Z').getDayOfWeek()", json!(4)),
        ("timestamp('2026-05-31T07:08:09.123Z').getDayOfWeek()", json!(0)),
        ("timestamp('2026-02-01T07:08:09.123Z').getDayOfYear()", json!(31)),
        ("timestamp('2026-05-28T07:08:09.123Z').getHours()", json!(7)),
        ("timestamp('2026-05-28T07:08:09.123Z').getMinutes()", json!(8)),
        ("timestamp('2026-05-28T07:08:09.123Z').getSeconds()", json!(9)),
        ("timestamp('2026-05-28T07:08:09.123Z').getMilliseconds()", json!(123)),
        ("timestamp('2026-05-28T23:08:09Z').getDate('Europe/Berlin')", json!(29)),
        ("timestamp('2026-05-28T23:08:09Z').getHours('-05:30')", json!(17)),
        ("timestamp('2026-05-28T23:08:09Z').getMinutes('05:30')", json!(38)),
        ("duration('1h30m')", json!("5400s")),
        ("duration(duration('-1.5s'))", json!("-1.5s")),
        ("duration('1h1m1s1ms1us1ns')", json!("3661.001001001s")),
        ("duration('0') == duration('0s') && duration('60m') >= duration('1h')", json!(true)),
        ("duration('1h') - duration('90m')", json!("-1800s")),
        ("duration('1h') + duration('250ms')", json!("3600.25s")),
        ("string(duration('2m')) + '/' + string(duration('1.5h').getMinutes())", json!("120s/90")),
        ("duration('90m').getHours()", json!(1)),
        ("duration('90m').getSeconds()", json!(5400)),
        ("duration('1s500ms').getMilliseconds()", json!(1500)),
        ("bytes('häuser')", json!("häuser")),
        ("size(bytes('häuser')) * 10 + size('häuser')", json!(76)),
        ("string(b'ab' + bytes('c'))", json!("abc")),
        ("b'a' < b'b' && b'a' == bytes('a') && bytes(b'a') != b'b'", json!(true)),
        ("base64(b'\\xff\\x00')", json!("/wA=")),
        ("sha256(b'') == sha256('')", json!(true)),
        (
            "type(timestamp(0)) + type(duration('1s')) + type(b'')",
            json!("google.protobuf.Timestampgoogle.protobuf.Durationbytes"),
        ),
        ("uint('7') + uint(1.9) + 1u", json!(9)),
        ("variables.ON ? timestamp(1) : timestamp(0)", json!("1970-01-01T00:00:01Z")),
        ("default(variables.LABELS.missing, duration('5m'))", json!("300s")),
        (
            "['2026-01-01T00:00:00Z', '2025-01-01T00:00:00Z'].filter(t, timestamp(t).getFullYear() > 2025).size()",
            json!(1),
        ),
        ("dyn(duration('1s')) == duration('1s')", json!(true)),
    ] {
        assert_eq!(value(&format!("${{{{ {expression} }}}}")), expected, "{expression}");
    }
    let variables = [("SINCE", plain(json!("${{ timestamp(0) + duration('1h') }}")))];
    let since = text(&variables, "since ${{ timestamp(variables.SINCE).getHours() }} (${{ variables.SINCE }})");
    assert_eq!(since, Ok(Text::Plain(json!("since 1 (1970-01-01T01:00:00Z)"))));
}

#[test]
fn what_cannot_be_done_says_what_to_do() {
    let variables = [("N", plain(json!(1))), ("L", plain(json!([1])))];
    for (expression, said) in [
        ("variables.MISSING", "variable MISSING is declared nowhere: add it to"),
        ("default(variables.TYPO, 1)", "variable TYPO is declared nowhere"),
        ("environmnt.name", "there is no name environmnt: write variables.environmnt, or one of"),
        ("release.nothing", "there is no field nothing"),
        ("variables.N + 'a'", "operator + is not for a number and a text: convert one"),
        ("variables.L[1]", "the list has no such element"),
        ("1 / 0", "division by zero"),
        ("9223372036854775807 + 1", "the number is too large"),
        ("nothing(1)", "there is no function nothing: there are size,"),
        ("timestamp('2026-01-01')", "timestamp() takes a text like 2026-01-31T12:00:00Z"),
        ("timestamp('2026-01-01T00:00:00+01:00[Europe/Berlin]')", "timestamp() takes a text like"),
        ("timestamp(-99999999999)", "the time is out of range"),
        ("timestamp(999999999999999)", "timestamp() takes whole seconds of the years 1 to 9999"),
        ("timestamp(0) - duration('17520000h')", "the time is out of range"),
        ("timestamp(0) + timestamp(0)", "operator + is not for a timestamp and a timestamp"),
        ("timestamp(0) < 1", "operator < is not for a timestamp and a number: convert one"),
        ("duration('soon')", "duration() takes a text like 1h30m"),
        ("duration('')", "duration() takes a text like 1h30m"),
        ("duration('+')", "duration() takes a text like 1h30m"),
        ("duration('1h30')", "duration() takes a text like 1h30m"),
        ("duration('1.2.3h')", "duration() takes a text like 1h30m"),
        ("duration('99999999999999h')", "duration"),
        ("'2026-01-01T00:00:00Z'.getFullYear()", "function getFullYear does not take a text: convert before"),
        ("timestamp(0).getHours('Moon/Crater')", "a time zone is a name like Europe/Berlin"),
        ("timestamp(0).getHours('+1:00')", "a time zone is a name like Europe/Berlin"),
        ("timestamp(0).getHours('+01:60')", "a time zone is a name like Europe/Berlin"),
        ("duration('1h').getFullYear()", "function getFullYear does not take a duration: convert before"),
        ("upper(timestamp(0))", "function upper does not take a timestamp: convert before"),
        ("[timestamp(0)]", "a timestamp cannot be used here: convert with string()"),
        ("{'a': duration('1s')}", "a duration cannot be used here: convert with string()"),
        ("bytes('x') ? 1 : 2", "bytes cannot be used here: convert with string()"),
        ("b'\\xff'", "these bytes are no text: encode them with base64()"),
        ("string(b'\\xff')", "these bytes are no text: encode them with base64()"),
        ("uint(-1)", "uint() takes no negative numbers"),
        ("now()", "there is no function now"),
        ("size(1)", "function size does not take a number: convert before"),
        ("variables.N ? 1 : 2", "a condition is true or false, not a number"),
        ("'a'.matches('[')", "matches() takes a regular expression"),
        ("semver('1.2.3.4.5')", "semver() takes a version like 1.4.2, v1.4 or"),
        ("{1: 2}", "the keys of a map are texts"),
        ("'a' < 1", "a text and a number cannot be compared"),
    ] {
        let (_, message) = fault(&variables, expression);
        assert!(message.contains(said), "{expression}: {message}");
    }
    let wrong = text(&variables, "x${{ variables.L }}").unwrap_err();
    assert!(wrong.message.starts_with("a list cannot stand in a text: encode it with json()"), "{wrong}");
}

#[test]
fn a_circle_of_variables_shows_the_chain() {
    let variables = [
        ("A", plain(json!("${{ variables.B }}"))),
        ("B", plain(json!("x${{ variables.C }}"))),
        ("C", plain(json!({"a": ["${{ variables.A }}"]}))),
    ];
    let (reason, message) = fault(&variables, "variables.A");
    assert_eq!(reason, FaultReason::VariableCycle);
    assert!(message.contains("(A → B → C → A)"), "{message}");
    let own = [("A", plain(json!("${{ variables.A }}")))];
    assert!(fault(&own, "variables.A").1.contains("(A → A)"));
}

#[test]
fn a_fault_in_a_variable_says_through_which_ones_it_was_reached() {
    let variables = [("A", plain(json!("${{ variables.B }}"))), ("B", plain(json!("${{ 1 / 0 }}")))];
    assert!(fault(&variables, "variables.A").1.ends_with("(reached through A → B)"));
}

#[test]
fn nothing_that_a_person_writes_costs_more_than_its_bound() {
    let doubled: Vec<(String, Content)> = (0..15)
        .map(|n| {
            let text =
                if n == 0 { "x".repeat(60_000) } else { format!("${{{{ variables.V{} + variables.V{0} }}}}", n - 1) };
            (format!("V{n}"), plain(json!(text)))
        })
        .collect();
    let list = plain(json!((0..1000).collect::<Vec<_>>()));
    let mut variables: Vec<(&str, Content)> =
        doubled.iter().map(|(name, content)| (name.as_str(), content.clone())).collect();
    variables.push(("L", list));
    let began = std::time::Instant::now();
    for expression in [
        "variables.V14",
        "variables.L.map(a, variables.L.map(b, variables.L.map(c, a * b * c)))",
        "variables.L.map(a, variables.V0)",
        "variables.L.map(a, variables.V0).join('')",
        "variables.V0.replace('x', variables.V0)",
        "variables.V0.split('').map(a, variables.V0.split(''))",
        "variables.L.exists(a, variables.L.exists(b, variables.L.exists(c, 'aaaa'.matches('(a+)+b'))))",
        "variables.L.map(a, variables.L + variables.L).map(a, a + a)",
    ] {
        let (reason, message) = fault(&variables, expression);
        assert_eq!(reason, FaultReason::ExpressionTooCostly, "{expression}: {message}");
    }
    assert!(began.elapsed() < std::time::Duration::from_secs(10), "{:?}", began.elapsed());
}

#[test]
fn long_lists_are_no_problem_when_they_are_used_once() {
    let list = plain(json!((0..5000).collect::<Vec<_>>()));
    let size = text(&[("L", list)], "${{ size(variables.L.filter(x, x % 2 == 0).map(x, x + 1)) }}");
    assert_eq!(size, Ok(Text::Plain(json!(2500))));
}

#[test]
fn long_chains_and_deep_nesting_end_in_a_fault_and_not_in_a_crash() {
    let chain: Vec<(String, Content)> =
        (0..40).map(|n| (format!("V{n}"), plain(json!(format!("${{{{ variables.V{} }}}}", n + 1))))).collect();
    let variables: Vec<_> = chain.iter().map(|(name, content)| (name.as_str(), content.clone())).collect();
    assert!(fault(&variables, "variables.V0").1.contains("more than 16 variables use each other"));
    let deep = format!("{}variables.V1{}", "[".repeat(50), "]".repeat(50));
    let nested: Vec<(String, Content)> = (0..16)
        .map(|n| {
            let next = deep.replace("V1", &format!("V{}", n + 1));
            (format!("V{n}"), plain(json!(format!("${{{{ {next} }}}}"))))
        })
        .collect();
    let variables: Vec<_> = nested.iter().map(|(name, content)| (name.as_str(), content.clone())).collect();
    assert_eq!(fault(&variables, "variables.V0").0, FaultReason::ExpressionTooCostly);
}

// Attack T25.
#[test]
fn what_is_too_deep_too_costly_or_too_large_shows_the_variables_through_which_it_was_reached() {
    let chain: Vec<(String, Content)> =
        (0..40).map(|n| (format!("V{n}"), plain(json!(format!("${{{{ variables.V{} }}}}", n + 1))))).collect();
    let variables: Vec<_> = chain.iter().map(|(name, content)| (name.as_str(), content.clone())).collect();
    let (reason, message) = fault(&variables, "variables.V0");
    assert_eq!(reason, FaultReason::ExpressionTooCostly);
    assert!(message.contains("more than 16 variables use each other: shorten the chain (reached through V0 → V1 → V2"));

    let deep = format!("{}variables.B{}", "[".repeat(50), "]".repeat(50));
    let deep = |next: &str| plain(json!(format!("${{{{ {} }}}}", deep.replace("variables.B", next))));
    let nested = [("A", deep("variables.B")), ("B", deep("variables.C")), ("C", deep("variables.D")), ("D", deep("1"))];
    let (reason, message) = fault(&nested, "variables.A");
    assert_eq!(reason, FaultReason::ExpressionTooCostly);
    assert!(message.contains("(reached through A → B"), "{message}");

    let list = plain(json!((0..1000).collect::<Vec<_>>()));
    let costly = "${{ variables.L.map(a, variables.L.map(b, variables.L.map(c, a * b * c))) }}";
    let (reason, message) =
        fault(&[("L", list), ("A", plain(json!("${{ variables.B }}"))), ("B", plain(json!(costly)))], "variables.A");
    assert_eq!(reason, FaultReason::ExpressionTooCostly);
    assert!(message.contains("(reached through A → B"), "{message}");
}

#[test]
fn a_text_of_many_expressions_has_a_bound_wherever_it_stands() {
    let big = ("BIG", plain(json!("x".repeat(60_000))));
    let two = "${{ variables.BIG }}${{ variables.BIG }}";
    let three = format!("{two}${{{{ variables.BIG }}}}");
    assert!(matches!(text(std::slice::from_ref(&big), two), Ok(Text::Plain(_))));
    let wrong = text(std::slice::from_ref(&big), &three).unwrap_err();
    assert_eq!(wrong.to_string(), "the text is larger than 128 KiB: make it smaller");
    let (reason, message) = fault(&[big, ("T", plain(json!({"all": [three]})))], "variables.T");
    assert_eq!(reason, FaultReason::ExpressionTooCostly);
    assert_eq!(message, "the text is larger than 128 KiB: make it smaller (reached through T)");
}

fn secrets() -> Vec<(&'static str, Content)> {
    vec![
        ("DB", Content::Secret(reference("db", SecretPlace::Space))),
        ("GONE", Content::Secret(reference("gone", SecretPlace::Space))),
        ("LATER", Content::Secret(reference("later", SecretPlace::Space))),
        ("HERE", Content::Secret(reference("here", SecretPlace::Target))),
        ("URL", plain(json!("postgres://app:${{ variables.DB }}@db"))),
        ("ALIAS", plain(json!("${{ variables.HERE }}"))),
        ("MAP", plain(json!({"password": "${{ variables.DB }}", "user": "app"}))),
    ]
}

#[test]
fn whatever_is_made_of_a_secret_is_a_secret() {
    for expression in [
        "variables.DB",
        "variables.URL",
        "size(variables.DB)",
        "sha256(variables.DB)",
        "base64(variables.URL).upper()",
        "variables.DB == 'x'",
        "variables.DB.startsWith('h') ? 'yes' : 'no'",
        "variables.MAP.user",
        "variables.DB.split('').map(c, 'x').join('')",
        "[variables.DB][0]",
        "{'a': variables.DB}.a",
        "default(variables.DB, '')",
        "variables.DB == '' || true",
        "has(variables.DB) ? variables.DB : ''",
        "[1].exists(x, variables.DB == 'a') ? 1 : 2",
    ] {
        let result = text(&secrets(), &format!("${{{{ {expression} }}}}"));
        assert!(matches!(result, Ok(Text::Secret(_))), "{expression}: {result:?}");
        let result = text(&secrets(), &format!("a ${{{{ string({expression}) }}}} b"));
        assert!(matches!(result, Ok(Text::Secret(_))), "{expression}: {result:?}");
    }
    let Ok(Text::Secret(url)) = text(&secrets(), "${{ variables.URL }}") else { panic!("a secret") };
    assert_eq!(url.reveal(), "postgres://app:hunter2@db");
    assert_eq!(text(&secrets(), "${{ has(variables.DB) }}"), Ok(Text::Plain(json!(true))));
}

#[test]
fn every_function_makes_a_secret_of_a_secret() {
    let calls = [
        ("size", "size(variables.DB)"),
        ("string", "string(variables.DB)"),
        ("int", "int(size(variables.DB))"),
        ("uint", "uint(size(variables.DB))"),
        ("double", "double(size(variables.DB))"),
        ("bool", "bool(string(variables.DB == 'x'))"),
        ("type", "type(variables.DB)"),
        ("contains", "'x'.contains(variables.DB)"),
        ("startsWith", "variables.DB.startsWith('x')"),
        ("endsWith", "variables.DB.endsWith('x')"),
        ("matches", "'x'.matches(variables.DB)"),
        ("upper", "variables.DB.upper()"),
        ("upperAscii", "variables.DB.upperAscii()"),
        ("lower", "variables.DB.lower()"),
        ("lowerAscii", "variables.DB.lowerAscii()"),
        ("trim", "variables.DB.trim()"),
        ("replace", "'x'.replace('x', variables.DB)"),
        ("split", "variables.DB.split('t')[0]"),
        ("join", "['a', 'b'].join(variables.DB)"),
        ("substring", "variables.DB.substring(0, 1)"),
        ("base64", "base64(variables.DB)"),
        ("base64Decode", "base64Decode(base64(variables.DB))"),
        ("sha256", "sha256(variables.DB)"),
        ("json", "json([variables.DB])"),
        ("yaml", "yaml({'a': variables.DB})"),
        ("semver", "semver('1.0.' + string(size(variables.DB))).patch"),
        ("default", "default({'a': variables.DB}.b, 'x')"),
        ("has", "has({'a': variables.DB}.a)"),
        ("dyn", "dyn(variables.DB)"),
        ("timestamp", "string(timestamp(size(variables.DB)))"),
        ("duration", "string(duration(string(size(variables.DB)) + 's'))"),
        ("bytes", "string(bytes(variables.DB))"),
        ("getFullYear", "timestamp(size(variables.DB)).getFullYear()"),
        ("getMonth", "timestamp(size(variables.DB)).getMonth()"),
        ("getDate", "timestamp(size(variables.DB)).getDate()"),
        ("getDayOfMonth", "timestamp(size(variables.DB)).getDayOfMonth()"),
        ("getDayOfWeek", "timestamp(size(variables.DB)).getDayOfWeek()"),
        ("getDayOfYear", "timestamp(size(variables.DB)).getDayOfYear()"),
        ("getHours", "timestamp(size(variables.DB)).getHours()"),
        ("getMinutes", "timestamp(size(variables.DB)).getMinutes()"),
        ("getSeconds", "timestamp(size(variables.DB)).getSeconds()"),
        ("getMilliseconds", "timestamp(size(variables.DB)).getMilliseconds()"),
    ];
    let named: Vec<&str> = calls.iter().map(|(name, _)| *name).collect();
    let known = format!("{}, {}", function::KNOWN, time_function::KNOWN);
    assert_eq!(named.join(", "), known, "a function that nobody tries");
    for (name, call) in calls {
        for expression in [call.to_owned(), format!("[1].map(x, {call})[0]"), format!("true ? {call} : {call}")] {
            let result = text(&secrets(), &format!("${{{{ {expression} }}}}"));
            assert!(matches!(result, Ok(Text::Secret(_))), "{name}: {expression}: {result:?}");
        }
    }
    for operator in ["+ 'x'", "== 'x'", "!= 'x'", "in ['x']", "< 'x'", ">= 'x'"] {
        let result = text(&secrets(), &format!("${{{{ variables.DB {operator} }}}}"));
        assert!(matches!(result, Ok(Text::Secret(_))), "{operator}: {result:?}");
    }
}

#[test]
fn no_fault_shows_what_a_secret_holds() {
    for expression in [
        "int(variables.DB)",
        "variables.DB + 1",
        "variables.DB[0]",
        "{'a': 1}[variables.DB]",
        "variables.DB.nothing",
        "semver(variables.DB)",
        "variables.DB.matches(variables.DB + '[')",
        "base64Decode(variables.DB)",
        "timestamp(variables.DB)",
        "duration(variables.DB)",
        "timestamp(0).getHours(variables.DB)",
        "bytes(variables.DB) < timestamp(0)",
        "[bytes(variables.DB)]",
        "double(variables.DB)",
        "bool(variables.DB)",
        "variables.DB ? 1 : 2",
        "variables.DB < 1",
        "nothing(variables.DB)",
        "size(variables.DB, 1)",
        "variables.DB.replace('r', variables.L)",
        "[variables.DB].join(1)",
    ] {
        let (_, message) = fault(&secrets(), expression);
        assert!(!message.contains("hunter"), "{expression}: {message}");
    }
}

#[test]
fn a_secret_of_the_target_is_referred_to_and_never_read() {
    let here = reference("here", SecretPlace::Target);
    assert_eq!(text(&secrets(), "${{ variables.HERE }}"), Ok(Text::Reference(here.clone())));
    assert_eq!(text(&secrets(), "${{ variables.ALIAS }}"), Ok(Text::Reference(here)));
    for wrong in ["a${{ variables.HERE }}", "${{ size(variables.HERE) }}", "${{ variables.ALIAS + '' }}"] {
        assert_eq!(text(&secrets(), wrong).unwrap_err().reason, FaultReason::SecretInPlainText, "{wrong}");
    }
}

#[test]
fn a_secret_that_cannot_be_read_says_why_and_one_that_was_not_is_asked_for() {
    let (reason, message) = fault(&secrets(), "variables.GONE");
    assert_eq!(reason, FaultReason::SecretUnavailable);
    assert!(message.starts_with("Secret gone does not exist in this space: create it"), "{message}");
    let (declared, names, none) = (declared(&secrets()), names(), Secrets::new());
    let mut bindings = Bindings::new((&declared, &[]), &Subject::default(), (&names, &none));
    assert!(bindings.text("${{ variables.URL }}").is_err());
    assert_eq!(bindings.wanted().iter().collect::<Vec<_>>(), [&reference("db", SecretPlace::Space)]);
}

#[test]
fn hashes_tell_values_apart_and_nothing_else() {
    let (declared, names) = (declared(&[("A", plain(json!("x"))), ("B", plain(json!("x")))]), names());
    let none = Secrets::new();
    let mut bindings = Bindings::new((&declared, &[]), &Subject::default(), (&names, &none));
    bindings.text("${{ variables.A }}${{ variables.B }}").unwrap();
    assert_eq!(bindings.used().map(|(name, _)| name).collect::<Vec<_>>(), ["A", "B"]);
    assert_eq!(bindings.hash("A", "salt").unwrap().len(), 16);
    assert_ne!(bindings.hash("A", "salt"), bindings.hash("B", "salt"));
    assert_ne!(bindings.hash("A", "salt"), bindings.hash("A", "other"));
    assert_eq!(bindings.hash("C", "salt"), None);
}

/// Pieces of expressions, well and badly formed.
const PIECES: &[&str] = &[
    "variables.",
    "A",
    "B",
    "L",
    "DB",
    "[",
    "]",
    "(",
    ")",
    "{",
    "}",
    "'",
    "\"",
    "\\",
    "\\u{1}",
    "\\xff",
    "b'",
    "r'",
    "'''",
    "+",
    "-",
    "*",
    "/",
    "%",
    "?",
    ":",
    "&&",
    "||",
    "!",
    "==",
    "<",
    ">=",
    " in ",
    ".",
    ",",
    "1",
    "0x",
    "9223372036854775807",
    "1e999",
    "1u",
    "1.",
    "true",
    "null",
    "size(",
    ".map(x, x",
    ".filter(x, ",
    ".exists(x, ",
    "has(",
    "default(",
    "int(",
    "json(",
    "substring(",
    ".split('",
    "release.version",
    "packages['my-worker']",
    "ä",
    "\u{1f980}",
    "\n",
    "//",
    "@result",
    "__result__",
    "x",
    "$",
    "${{",
    "}}",
    "`",
    "\u{0}",
];

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig {
        failure_persistence: None, ..proptest::prelude::ProptestConfig::with_cases(256)
    })]

    #[test]
    fn no_text_makes_evaluation_panic(pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..12)) {
        let expression = pieces.concat();
        let variables = [
            ("A", plain(json!("text"))),
            ("B", plain(json!(-7))),
            ("L", plain(json!([1, "a", {"b": null}, 2.5]))),
            ("DB", Content::Secret(reference("db", SecretPlace::Space))),
        ];
        for written in [format!("${{{{ {expression} }}}}"), format!("a ${{{{{expression}}}}} b"), expression.clone()] {
            let (declared, names, secrets) = (declared(&variables), names(), Secrets::new());
            let mut bindings = Bindings::new((&declared, &[]), &Subject::default(), (&names, &secrets));
            let _ = bindings.text(&written);
        }
    }
}
