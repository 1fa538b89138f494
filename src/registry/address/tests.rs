use super::*;

fn admitted(listed: &[&str], address: &str) -> Result<(), String> {
    let listed = listed.iter().map(|host| (*host).to_owned()).collect();
    Addresses::new(&listed, &BTreeSet::new()).admit(&Url::parse(address).unwrap()).map_err(|internal| internal.place)
}

// Attacks T23, T37.
#[test]
fn an_address_inside_is_refused_however_it_is_written() {
    for (host, place) in [
        ("127.0.0.1", "127.0.0.1:443"),
        ("127.8.9.10:5000", "127.8.9.10:5000"),
        ("127.1", "127.0.0.1:443"),
        ("2130706433", "127.0.0.1:443"),
        ("0x7f000001", "127.0.0.1:443"),
        ("0177.0.0.1", "127.0.0.1:443"),
        ("0.0.0.0", "0.0.0.0:443"),
        ("10.96.0.1", "10.96.0.1:443"),
        ("100.100.100.200", "100.100.100.200:443"),
        ("169.254.169.254", "169.254.169.254:443"),
        ("169.254.169.254.", "169.254.169.254:443"),
        ("169.254.170.2", "169.254.170.2:443"),
        ("0xa9fea9fe", "169.254.169.254:443"),
        ("2852039166", "169.254.169.254:443"),
        ("0251.0376.0251.0376", "169.254.169.254:443"),
        ("１６９.254.169.254", "169.254.169.254:443"),
        ("172.16.0.1", "172.16.0.1:443"),
        ("172.31.255.255", "172.31.255.255:443"),
        ("192.168.0.1", "192.168.0.1:443"),
        ("192.0.0.192", "192.0.0.192:443"),
        ("198.18.0.1", "198.18.0.1:443"),
        ("224.0.0.1", "224.0.0.1:443"),
        ("255.255.255.255", "255.255.255.255:443"),
        ("[::1]", "[::1]:443"),
        ("[::]", "[::]:443"),
        ("[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]:443"),
        ("[::ffff:8.8.8.8]", "[::ffff:808:808]:443"),
        ("[::127.0.0.1]", "[::7f00:1]:443"),
        ("[64:ff9b::a9fe:a9fe]", "[64:ff9b::a9fe:a9fe]:443"),
        ("[64:ff9b:1::1]", "[64:ff9b:1::1]:443"),
        ("[2002:a9fe:a9fe::1]", "[2002:a9fe:a9fe::1]:443"),
        ("[2001::1]", "[2001::1]:443"),
        ("[fc00::1]", "[fc00::1]:443"),
        ("[fd00:ec2::254]", "[fd00:ec2::254]:443"),
        ("[fe80::1]", "[fe80::1]:443"),
        ("[fec0::1]", "[fec0::1]:443"),
        ("[ff02::1]", "[ff02::1]:443"),
    ] {
        assert_eq!(admitted(&[], &format!("https://{host}/v2/")), Err(place.to_owned()), "{host}");
    }
}

#[test]
fn addresses_of_the_internet_are_admitted_and_names_are_judged_when_they_are_resolved() {
    for host in [
        "ghcr.io",
        "localhost:5000",
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.1",
        "100.63.0.1",
        "100.128.0.1",
        "169.253.0.1",
        "172.15.0.1",
        "172.32.0.1",
        "192.0.1.1",
        "192.167.0.1",
        "198.17.0.1",
        "198.20.0.1",
        "223.255.255.255",
        "[2606:4700::1111]",
        "[2002:808:808::1]",
        "[64:ff9b::808:808]",
    ] {
        assert_eq!(admitted(&[], &format!("https://{host}/v2/")), Ok(()), "{host}");
    }
}

#[test]
fn what_an_administrator_lists_is_admitted_at_its_port_only() {
    let listed = ["registry.local:5000", "10.0.0.7", "[FD00::7]:443", "Shop.Local"];
    for host in ["registry.local:5000", "REGISTRY.local.:5000", "10.0.0.7", "10.0.0.7:9", "[fd00::7]", "shop.local:9"] {
        assert_eq!(admitted(&listed, &format!("https://{host}/v2/")), Ok(()), "{host}");
    }
    for (host, place) in [
        ("registry.local:6379", "registry.local:6379"),
        ("registry.local", "registry.local:443"),
        ("10.0.0.8", "10.0.0.8:443"),
        ("[fd00::7]:444", "[fd00::7]:444"),
    ] {
        assert_eq!(admitted(&listed, &format!("https://{host}/v2/")), Err(place.to_owned()), "{host}");
    }
}

#[test]
fn a_proxy_is_read_with_and_without_a_scheme() {
    for value in ["http://user:word@proxy.local:3128", "proxy.local:3128", "http://PROXY.local:3128/"] {
        assert_eq!(proxy(value).as_deref(), Some("proxy.local"), "{value}");
    }
    assert_eq!(proxy("not a proxy"), None);
}

#[test]
fn nobody_is_led_to_the_proxy_that_the_client_must_find() {
    let addresses = Addresses { proxies: ["proxy.local".to_owned()].into(), ..Addresses::default() };
    assert!(addresses.is_named("proxy.local"), "the client finds it");
    for port in [443, 3128] {
        let led = addresses.admit(&Url::parse(&format!("https://proxy.local:{port}/v2/")).unwrap());
        assert_eq!(led.map_err(|internal| internal.place), Err(format!("proxy.local:{port}")));
    }
}

#[test]
fn what_is_listed_for_plain_http_is_admitted_at_its_port_only() {
    let listed = ["registry.local:5000", "10.0.0.7"].map(str::to_owned).into();
    let addresses = Addresses::new(&BTreeSet::new(), &listed);
    let admitted = |address: &str| addresses.admit(&Url::parse(address).unwrap()).is_ok();
    assert!(admitted("http://registry.local:5000/v2/") && admitted("http://10.0.0.7/v2/"));
    for other in ["http://registry.local/v2/", "https://registry.local:5001/v2/", "http://10.0.0.7:5000/v2/"] {
        assert!(!admitted(other), "{other}");
    }
}
