//! The screen of a simulated guest: the server's side of RFB 3.8 (RFC 6143), without authentication as in KubeVirt. The screen
//! has one colour, and every key changes it.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Result};

const WIDTH: u16 = 320;
const HEIGHT: u16 = 240;
const NAME: &[u8] = b"simulated guest";

/// The colours, each as red, green, blue and nothing.
const COLOURS: [[u8; 4]; 2] = [[32, 96, 160, 0], [48, 144, 64, 0]];

/// 32 bits a pixel in little-endian order, red first. noVNC wants just that, and no other client is served.
const PIXELS: [u8; 16] = [32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 0, 8, 16, 0, 0, 0];

/// A picture of the screen: PNG, in base64.
pub const PICTURE: &str = "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAGCAIAAABxZ0isAAAAFUlEQVR42mNUSFjAgA0wMeAA9JAAAKoaASyA/bxlAAAAAElFTkSuQmCC";

/// Messages of the client.
const SET_PIXEL_FORMAT: u8 = 0;
const SET_ENCODINGS: u8 = 2;
const UPDATE_REQUEST: u8 = 3;
const KEY: u8 = 4;
const POINTER: u8 = 5;
const CUT_TEXT: u8 = 6;

/// Serves the screen until the client leaves or sends what this does not know.
pub async fn serve(mut client: impl AsyncRead + AsyncWrite + Unpin) -> Result<()> {
    client.write_all(b"RFB 003.008\n").await?;
    skip(&mut client, 12).await?;
    // One type of security: none.
    client.write_all(&[1, 1]).await?;
    client.read_u8().await?;
    client.write_u32(0).await?;
    client.read_u8().await?;
    client.write_u16(WIDTH).await?;
    client.write_u16(HEIGHT).await?;
    client.write_all(&PIXELS).await?;
    client
        .write_u32(u32::try_from(NAME.len()).unwrap_or_default())
        .await?;
    client.write_all(NAME).await?;
    let mut colours = COLOURS.iter().cycle();
    let mut colour = colours.next().copied().unwrap_or_default();
    // Whether the client waits for a change.
    let mut waits = false;
    loop {
        match client.read_u8().await? {
            SET_PIXEL_FORMAT => skip(&mut client, 19).await?,
            SET_ENCODINGS => {
                client.read_u8().await?;
                let count = client.read_u16().await?;
                skip(&mut client, u64::from(count) * 4).await?;
            }
            UPDATE_REQUEST => {
                waits = client.read_u8().await? != 0;
                skip(&mut client, 8).await?;
                if !waits {
                    frame(&mut client, colour).await?;
                }
            }
            KEY => {
                let down = client.read_u8().await? != 0;
                skip(&mut client, 6).await?;
                if down {
                    colour = colours.next().copied().unwrap_or_default();
                    if std::mem::take(&mut waits) {
                        frame(&mut client, colour).await?;
                    }
                }
            }
            POINTER => skip(&mut client, 5).await?,
            CUT_TEXT => {
                skip(&mut client, 3).await?;
                let length = client.read_i32().await?;
                skip(&mut client, u64::from(length.unsigned_abs())).await?;
            }
            _ => return Ok(()),
        }
    }
}

async fn skip(client: &mut (impl AsyncRead + Unpin), count: u64) -> Result<()> {
    tokio::io::copy(&mut client.take(count), &mut tokio::io::sink()).await?;
    Ok(())
}

/// Sends the whole screen, as one raw rectangle.
async fn frame(client: &mut (impl AsyncWrite + Unpin), colour: [u8; 4]) -> Result<()> {
    client.write_all(&[0, 0]).await?;
    for number in [1, 0, 0, WIDTH, HEIGHT] {
        client.write_u16(number).await?;
    }
    client.write_u32(0).await?;
    let pixels = colour.repeat(usize::from(WIDTH) * usize::from(HEIGHT));
    client.write_all(&pixels).await
}
