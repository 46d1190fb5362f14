//! Makes the secrets: each in the form that its issuer gives out, checksums included, so that whoever
//! validates before stealing takes it for real.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::dice::{ALPHANUMERIC, BASE32, BASE58, BASE64, BASE64_URL, CRYPT, Dice, HEX};
use super::{Bait, Secret, key};

type Make = fn(&mut Dice) -> String;

/// All baits, by name.
pub(super) fn mint(seed: &[u8; 32]) -> Vec<Bait> {
    let bait = |name: &str, fields: &[(&str, Make)]| {
        let secret = |(field, make): &(&str, Make)| {
            let value = make(&mut Dice::new(seed, &format!("{name}/{field}")));
            Secret { field: (*field).to_owned(), value }
        };
        Bait { name: name.to_owned(), secrets: fields.iter().map(secret).collect() }
    };
    vec![
        // Planted.
        bait("aws-credentials", &[("access_key_id", access_key), ("secret_access_key", secret_key)]),
        bait("azure-credentials", &[("refresh_token", azure_refresh)]),
        bait("bitcoin-wallet", &[("key", extended_key)]),
        bait("browser-logins", &[("password", encrypted_login)]),
        bait("database-dump", &[("password_hash", hashes)]),
        bait("dotenv", &[("db_password", password), ("api_secret", hex_secret)]),
        bait("ethereum-wallet", &[("ciphertext", hex_secret), ("mac", hex_secret)]),
        bait("gcp-credentials", &[("private_key", key::pkcs8)]),
        bait("github-token", &[("token", github)]),
        bait("kube-config", &[("token", service_account)]),
        bait("kube-token", &[("token", service_account)]),
        bait("mysql-login", &[("password", password)]),
        bait("netrc-login", &[("password", password)]),
        bait("npm-token", &[("token", npm)]),
        bait("postgres-login", &[("password", password)]),
        bait("pypi-token", &[("token", pypi)]),
        bait("registry-login", &[("password", password)]),
        bait("shell-history", &[("password", password)]),
        bait("solana-wallet", &[("keypair", numbers)]),
        bait("ssh-key", &[("private_key", ssh_key), ("legacy_key", ssh_key)]),
        bait("vault-token", &[("token", vault)]),
        // Handed out by look-alikes.
        bait(
            "aws-role",
            &[("access_key_id", role_key), ("secret_access_key", secret_key), ("token", session)],
        ),
        bait("azure-token", &[("access_token", azure_access)]),
        bait("gcp-token", &[("access_token", gcp_access)]),
        bait("kube-secret", &[("password", password)]),
    ]
}

fn password(dice: &mut Dice) -> String {
    dice.text(ALPHANUMERIC, 22)
}

fn hex_secret(dice: &mut Dice) -> String {
    dice.text(HEX, 64)
}

/// Long-lived keys begin with AKIA, and are made of the letters of base32.
fn access_key(dice: &mut Dice) -> String {
    "AKIA".to_owned() + &dice.text(BASE32, 16)
}

/// Keys of a role begin with ASIA.
fn role_key(dice: &mut Dice) -> String {
    "ASIA".to_owned() + &dice.text(BASE32, 16)
}

fn secret_key(dice: &mut Dice) -> String {
    dice.text(BASE64, 40)
}

fn session(dice: &mut Dice) -> String {
    "IQoJb3JpZ2luX2VjE".to_owned() + &dice.text(BASE64, 782) + "="
}

/// Thirty letters and their CRC-32 in base 62.
fn checked(prefix: &str, dice: &mut Dice) -> String {
    let text = dice.text(ALPHANUMERIC, 30);
    let mut sum = flate2::Crc::new();
    sum.update(text.as_bytes());
    let (mut rest, mut digits) = (sum.sum() as usize, [b'0'; 6]);
    for digit in digits.iter_mut().rev() {
        *digit = ALPHANUMERIC[rest % 62];
        rest /= 62;
    }
    format!("{prefix}{text}{}", String::from_utf8_lossy(&digits))
}

fn github(dice: &mut Dice) -> String {
    checked("ghp_", dice)
}

fn npm(dice: &mut Dice) -> String {
    checked("npm_", dice)
}

/// A macaroon whose location is pypi.org.
fn pypi(dice: &mut Dice) -> String {
    let mut macaroon = b"\x02\x01\x08pypi.org\x02\x24".to_vec();
    macaroon.extend(uuid(dice).bytes());
    macaroon.extend(b"\x00\x00\x06\x20");
    macaroon.extend(dice.bytes(32));
    format!("pypi-{}", URL_SAFE_NO_PAD.encode(macaroon))
}

fn vault(dice: &mut Dice) -> String {
    "hvs.".to_owned() + &dice.text(BASE64_URL, 91)
}

fn uuid(dice: &mut Dice) -> String {
    let digits = dice.text(HEX, 30);
    let parts = (&digits[..8], &digits[8..12], &digits[12..15], &digits[15..18], &digits[18..]);
    format!("{}-{}-4{}-a{}-{}", parts.0, parts.1, parts.2, parts.3, parts.4)
}

/// Of the kind that names no time: it is kept in a Secret and does not expire.
fn service_account(dice: &mut Dice) -> String {
    let name = dice.text(b"bcdfghjklmnpqrstvwxz2456789", 5);
    let header = format!(r#"{{"alg":"RS256","kid":"{}"}}"#, dice.text(BASE64_URL, 43));
    let claims = format!(
        concat!(
            r#"{{"iss":"kubernetes/serviceaccount","kubernetes.io/serviceaccount/namespace":"default","#,
            r#""kubernetes.io/serviceaccount/secret.name":"default-token-{}","#,
            r#""kubernetes.io/serviceaccount/service-account.name":"default","#,
            r#""kubernetes.io/serviceaccount/service-account.uid":"{}","#,
            r#""sub":"system:serviceaccount:default:default"}}"#
        ),
        name,
        uuid(dice)
    );
    web_token(dice, &header, &claims)
}

fn azure_access(dice: &mut Dice) -> String {
    let header = format!(r#"{{"typ":"JWT","alg":"RS256","kid":"{}"}}"#, dice.text(BASE64_URL, 27));
    let (tenant, application) = (uuid(dice), uuid(dice));
    let claims = format!(
        concat!(
            r#"{{"aud":"https://management.azure.com/","iss":"https://sts.windows.net/{tenant}/","#,
            r#""appid":"{application}","idtyp":"app","tid":"{tenant}","ver":"1.0"}}"#
        ),
        tenant = tenant,
        application = application
    );
    web_token(dice, &header, &claims)
}

fn web_token(dice: &mut Dice, header: &str, claims: &str) -> String {
    let signature = URL_SAFE_NO_PAD.encode(dice.bytes(256));
    format!("{}.{}.{signature}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
}

fn azure_refresh(dice: &mut Dice) -> String {
    "0.AX".to_owned() + &dice.text(BASE64_URL, 420)
}

fn gcp_access(dice: &mut Dice) -> String {
    "ya29.c.b0A".to_owned() + &dice.text(BASE64_URL, 212)
}

fn ssh_key(dice: &mut Dice) -> String {
    key::open_ssh(dice, "deploy@build-02")
}

/// The root of an HD wallet, as descriptors carry it; its checksum is not computed.
fn extended_key(dice: &mut Dice) -> String {
    "xprv9s21ZrQH143K".to_owned() + &dice.text(BASE58, 95)
}

/// A login that Firefox encrypted with its key3 slot.
fn encrypted_login(dice: &mut Dice) -> String {
    "MDoEEPgAAAAAAAAAAAAAAAAAAAEwFAYIKoZIhvcNAwcECI".to_owned() + &dice.text(BASE64, 33) + "="
}

/// bcrypt, one line for each account.
fn hashes(dice: &mut Dice) -> String {
    (0..24).map(|_| format!("$2y$10${}\n", dice.text(CRYPT, 53))).collect()
}

/// 64 numbers, as the tool writes a key pair.
fn numbers(dice: &mut Dice) -> String {
    let numbers: Vec<String> = dice.bytes(64).iter().map(u8::to_string).collect();
    numbers.join(",")
}
