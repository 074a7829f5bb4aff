//! Methods about who is let in. What writes to the disk does so on a thread that may block.

use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Shared;
use super::answer::{Params, json};
use super::methods::Call;
use crate::error::{Error, Kind, Result};
use crate::keys::{Gate, MintWish};

/// Does what a method about access does.
pub async fn answer(shared: &Shared, params: &Params<'_>, call: Call) -> Result<Value> {
    let gate = &shared.gate;
    match call {
        Call::TokenList => params.none().and_then(|()| json(&gate.tokens())),
        Call::KeyList => params.none().and_then(|()| json(&gate.api_keys())),
        Call::RoleList => params.none().and_then(|()| json(&gate.roles())),
        Call::AccessSessions => params.none().and_then(|()| json(&gate.list_sessions())),
        Call::AccessTest => test(gate, params),
        Call::TokenMint => mint(gate, params).await,
        Call::TokenRevoke => revoke(gate, params).await,
        Call::KeyAdd => add_key(gate, params).await,
        Call::KeyRemove => remove_key(gate, params).await,
        _ => Err(Error::new(Kind::Internal, "this method is not about access")),
    }
}

/// Does something that writes to the disk.
async fn write<T: Serialize + Send + 'static>(
    gate: &Arc<Gate>,
    act: impl FnOnce(&Gate) -> Result<T> + Send + 'static,
) -> Result<Value> {
    let gate = gate.clone();
    let done = tokio::task::spawn_blocking(move || act(&gate)).await;
    json(&done.map_err(|_| Error::new(Kind::Unavailable, "the daemon is stopping"))??)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MintParams {
    sub: String,
    roles: Vec<String>,
    for_s: u32,
    #[serde(default)]
    audio_id: Vec<String>,
    #[serde(default)]
    paths: Vec<String>,
}

async fn mint(gate: &Arc<Gate>, params: &Params<'_>) -> Result<Value> {
    let MintParams { sub, roles, for_s, audio_id, paths } = params.read()?;
    let wish = MintWish { subject: sub, roles, for_s, tracks: audio_id, paths };
    write(gate, move |gate| gate.mint(wish)).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RevokeParams {
    jti: Option<String>,
    sub: Option<String>,
}

async fn revoke(gate: &Arc<Gate>, params: &Params<'_>) -> Result<Value> {
    match params.read()? {
        RevokeParams { jti: Some(jti), sub: None } => {
            write(gate, move |gate| gate.revoke_token(&jti)).await?
        }
        RevokeParams { jti: None, sub: Some(sub) } => {
            write(gate, move |gate| gate.revoke_subject(&sub)).await?
        }
        _ => return Err(params.wrong(&"one of jti and sub must be given")),
    };
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyParams {
    name: String,
    permissions: Vec<String>,
    #[serde(default)]
    addresses: Vec<String>,
    for_s: Option<u32>,
}

async fn add_key(gate: &Arc<Gate>, params: &Params<'_>) -> Result<Value> {
    let KeyParams { name, permissions, addresses, for_s } = params.read()?;
    write(gate, move |gate| gate.add_key(&name, &permissions, &addresses, for_s)).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RemoveParams {
    key: String,
}

async fn remove_key(gate: &Arc<Gate>, params: &Params<'_>) -> Result<Value> {
    let RemoveParams { key } = params.read()?;
    write(gate, move |gate| gate.remove_key(&key)).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TestParams {
    token: Option<String>,
    method: String,
    path: String,
    address: Option<IpAddr>,
}

fn test(gate: &Gate, params: &Params<'_>) -> Result<Value> {
    let TestParams { token, method, path, address } = params.read()?;
    json(&gate.explain(token.as_deref(), &method, &path, address))
}
