//! The clouds' own interfaces and object stores: whoever shows a credential there uses it.

use serde_json::json;

use super::answer::{XML, rfc3339};
use super::{Answer, Request};
use crate::internet::world::World;

const AWS_KEYS: &[&str] = &["aws-role", "aws-credentials"];
const AZURE: &[&str] = &["azure-token", "azure-credentials"];
const ACCOUNT: &str = "418275936104";
const REQUEST: &str = "7f3a1c52-90de-4b86-a1f4-2c6d8e5b7a90";

pub fn answer(world: &World, request: &Request<'_>) -> Option<Answer> {
    if is_store(request) {
        return Some(store(world, request));
    }
    if request.is_at_any(&["amazonaws.com", "amazonaws.com.cn", "api.aws"]) {
        return Some(aws(request));
    }
    if request.is_at("googleapis.com") {
        return Some(google(request));
    }
    let azure = request.is_at_any(&["management.azure.com", "graph.microsoft.com", "vault.azure.net"]);
    if azure || request.is_at("login.microsoftonline.com") {
        return Some(Answer::json("azure", &json!({"value": []})).accepts(AZURE));
    }
    None
}

fn is_store(request: &Request<'_>) -> bool {
    const STORES: [&str; 8] = [
        "storage.googleapis.com",
        "blob.core.windows.net",
        "digitaloceanspaces.com",
        "r2.cloudflarestorage.com",
        "wasabisys.com",
        "backblazeb2.com",
        "aliyuncs.com",
        "linodeobjects.com",
    ];
    let amazon = request.is_at("amazonaws.com");
    let s3 = amazon && request.host.split('.').any(|label| label == "s3" || label.starts_with("s3-"));
    s3 || request.is_at_any(&STORES)
}

/// Buckets that take everything, and have little.
fn store(world: &World, request: &Request<'_>) -> Answer {
    const SERVICE: &str = "object-store";
    let blob = request.is_at("blob.core.windows.net");
    let etag = "\"9b2cf535f27731c974343645a3985328\"";
    let empty = request.path() == "/"
        || request.query().contains("list-type")
        || request.query().contains("comp=list");
    let answer = match request.method {
        // Azure's and the first call of an upload in parts answer in their own way.
        "PUT" => Answer::new(SERVICE, if blob { 201 } else { 200 }).header("etag", etag),
        "POST" if request.query().starts_with("uploads") => Answer::with(SERVICE, XML, UPLOAD),
        "POST" => Answer::with(SERVICE, XML, COMPLETE),
        "DELETE" => Answer::new(SERVICE, if blob { 202 } else { 204 }),
        _ if empty => Answer::with(SERVICE, XML, listing(world)),
        _ => super::web::answer(world, request).header("etag", etag),
    };
    let answer = Answer { service: SERVICE, ..answer };
    answer.header("x-amz-request-id", "5TJ7Q1ZC8W3XN4VB").accepts(&[
        "aws-role",
        "aws-credentials",
        "gcp-token",
        "azure-token",
    ])
}

const UPLOAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<InitiateMultipartUploadResult>\
                      <Bucket>data</Bucket><Key>data</Key><UploadId>VXBsb2FkSWQ</UploadId></InitiateMultipartUploadResult>";
const COMPLETE: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<CompleteMultipartUploadResult>\
                        <ETag>\"9b2cf535f27731c974343645a3985328-1\"</ETag></CompleteMultipartUploadResult>";

fn listing(world: &World) -> String {
    let created = rfc3339(world.now.saturating_sub(200 * 86_400));
    let bucket =
        format!("<Bucket><Name>web-production-assets</Name><CreationDate>{created}</CreationDate></Bucket>");
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListAllMyBucketsResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
         <Owner><ID>{ACCOUNT}</ID></Owner><Buckets>{bucket}</Buckets></ListAllMyBucketsResult>"
    )
}

/// The query interface answers in XML, the newer ones in JSON.
fn aws(request: &Request<'_>) -> Answer {
    const SERVICE: &str = "aws";
    let body = std::str::from_utf8(request.body).unwrap_or_default();
    let parameters = body.split('&').chain(request.query().split('&'));
    let action = parameters.filter_map(|pair| pair.strip_prefix("Action=")).next().unwrap_or_default();
    let answer = match action {
        "" => Answer::json(SERVICE, &json!({})),
        action if action.bytes().all(|byte| byte.is_ascii_alphanumeric()) && action.len() <= 64 => {
            Answer::with(SERVICE, "text/xml", query(action))
        }
        _ => Answer::with(SERVICE, "text/xml", query("Error")).status(400),
    };
    answer.header("x-amzn-requestid", REQUEST).accepts(AWS_KEYS)
}

fn query(action: &str) -> String {
    let user = format!("arn:aws:iam::{ACCOUNT}:user/deploy");
    let result = match action {
        "GetCallerIdentity" => {
            format!("<Arn>{user}</Arn><UserId>AIDAWC4DR7T2K6JXN5QPY</UserId><Account>{ACCOUNT}</Account>")
        }
        "GetUser" => format!("<User><Arn>{user}</Arn><UserName>deploy</UserName></User>"),
        _ => String::new(),
    };
    format!(
        "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result>{result}</{action}Result>\
         <ResponseMetadata><RequestId>{REQUEST}</RequestId></ResponseMetadata></{action}Response>\n"
    )
}

fn google(request: &Request<'_>) -> Answer {
    const SERVICE: &str = "gcp";
    let token = json!({"expires_in": 3599, "scope": "https://www.googleapis.com/auth/cloud-platform", "email": "web@web-production-318204.iam.gserviceaccount.com"});
    let value = if request.path().contains("tokeninfo") { token } else { json!({"items": []}) };
    Answer::json(SERVICE, &value).accepts(&["gcp-token"])
}

#[cfg(test)]
mod tests {
    use super::super::answer;
    use super::super::tests::{get, text, world};
    use super::*;

    #[test]
    fn who_asks_who_he_is_is_told() {
        let body = b"Action=GetCallerIdentity&Version=2011-06-15";
        let request = Request { method: "POST", body, ..get("sts.eu-central-1.amazonaws.com", "/") };
        let answer = answer(&world(), &request);
        assert!(text(&answer).starts_with("<GetCallerIdentityResponse"), "{}", text(&answer));
        assert_eq!((answer.service, answer.accepts), ("aws", AWS_KEYS));
    }

    #[test]
    fn an_action_brings_no_markup() {
        let request = get("iam.amazonaws.com", "/?Action=<script>");
        assert!(!text(&answer(&world(), &request)).contains("script"));
    }

    #[test]
    fn a_bucket_takes_what_is_put() {
        let check = |method: &str, host: &str, target: &str, status: u16| {
            let answer = answer(&world(), &Request { method, ..get(host, target) });
            assert_eq!((answer.status, answer.service), (status, "object-store"), "{method} {host}{target}");
        };
        check("PUT", "loot.s3.eu-central-1.amazonaws.com", "/a", 200);
        check("PUT", "x.blob.core.windows.net", "/c/a", 201);
        check("GET", "s3.amazonaws.com", "/", 200);
        check("GET", "loot.s3.amazonaws.com", "/x.sh", 200);
    }
}
