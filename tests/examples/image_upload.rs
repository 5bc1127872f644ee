//! The images of `image_upload`.

#[path = "../../examples/image_upload/image.rs"]
mod image;

use image::Image;

#[track_caller]
fn check_halved(file: &[u8], expected: &[u8]) {
    let halved = Image::read(file).unwrap().halved();
    assert_eq!(halved.write(), expected);
}

#[test]
fn each_pixel_is_the_mean_of_four() {
    check_halved(b"P5\n4 2\n255\n\x00\x02\xff\xff\x04\x06\xff\xff", b"P5\n2 1\n255\n\x03\xff");
    // The last row and the last column have no partner.
    check_halved(b"P5 3 3 255 aazaazzzz", b"P5\n1 1\n255\na");
    check_halved(b"P5 1 1 255 a", b"P5\n0 0\n255\n");
    check_halved(b"P5 0 0 255 ", b"P5\n0 0\n255\n");
}

#[test]
fn what_is_written_is_read_again() {
    let image = Image::gradient(7, 5);
    assert_eq!(Image::read(&image.write()), Ok(image.clone()));
    assert_eq!(image.size(), (7, 5));
    let pixels = image.write().split_off(b"P5\n7 5\n255\n".len());
    assert_eq!(pixels[..7], [0, 36, 72, 109, 145, 182, 218]);
}

#[track_caller]
fn check_refused(file: &[u8], expected: &str) {
    assert_eq!(Image::read(file).unwrap_err(), expected);
}

#[test]
fn what_is_no_image_is_refused() {
    check_refused(b"", "this is not an image");
    check_refused(b"\xff\xd8\xff\xe0", "this is not an image");
    check_refused(b"P5", "the header of the image is damaged");
    check_refused(b"P5 -1 1 255 a", "the header of the image is damaged");
    check_refused(b"P5 1 1 65535 aa", "the header of the image is damaged");
    check_refused(b"P5 2 2 255 abc", "3 pixels are not 2 x 2");
    check_refused(b"P5 2 2 255 abcde", "5 pixels are not 2 x 2");
    let max = usize::MAX;
    check_refused(format!("P5 {max} 2 255 a").as_bytes(), &format!("1 pixels are not {max} x 2"));
}
