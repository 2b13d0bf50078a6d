using System.Diagnostics;
using AssistantQueue.IntegrationTests.Samples;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace AssistantQueue.IntegrationTests.Browser;

/// <summary>WebChat's page in a real browser, with the emulator in WebChat's process.</summary>
public sealed class ChatPageTests(Chromium chromium) : IClassFixture<Chromium>
{
    private static readonly LocatorAssertionsToBeVisibleOptions Visible = new() { Timeout = 60_000 };
    private static readonly LocatorAssertionsToContainTextOptions Text = new() { Timeout = 60_000 };
    private static readonly LocatorAssertionsToHaveCountOptions Count = new() { Timeout = 60_000 };

    [ChromiumFact]
    public async Task Messages_OfOneWindow_AreAnsweredTogetherAndTheTextIsSeenAsItIsWritten()
    {
        await using var chat = await StartAsync(("MessageDelay", "00:00:06"), ("Emulators__OpenAI__QueueTime", "00:00:01"));
        var page = await chromium.OpenAsync(chat.Client.BaseAddress!);
        // Looked for by the page itself, before each picture that it draws.
        var dots = page.WaitForFunctionAsync("() => document.querySelector('.group.running .typing') && !document.querySelector('.writing')");

        await SayAsync(page, "hi");
        await SayAsync(page, "one question");
        await SayAsync(page, "is my order late?\n/long 60");
        await dots;
        await Expect(page.Locator(".group.running .writing")).ToBeVisibleAsync(Visible);
        var early = await page.Locator(".group.running .writing").InnerTextAsync();
        await Chromium.KeepAsync(page, "writing");
        await Expect(page.Locator(".group.replied")).ToHaveCountAsync(1, Count);
        await Chromium.KeepAsync(page, "replied");

        var whole = await page.Locator(".group.replied .answer > .prose").InnerTextAsync();
        Assert.InRange(early.Length, 1, whole.Length - 1);
        Assert.StartsWith(early.Trim(), whole, StringComparison.Ordinal);
        Assert.Equal(3, await page.Locator(".group.replied .said li").CountAsync());
        Assert.Contains("3 messages → 1 run → 1 reply", await page.Locator(".group.replied .seam-text").InnerTextAsync(), StringComparison.Ordinal);
    }

    [ChromiumFact]
    public async Task Reload_InTheMiddleOfAReply_GoesOnWhereItWas()
    {
        await using var chat = await StartAsync();
        var page = await chromium.OpenAsync(chat.Client.BaseAddress!);

        await SayAsync(page, "tell me a story\n/long 120");
        await Expect(page.Locator(".group.running .writing")).ToBeVisibleAsync(Visible);
        var before = (await page.Locator(".group.running .writing").InnerTextAsync()).Trim();
        await page.ReloadAsync();
        await Expect(page.Locator(".group.running .writing")).ToBeVisibleAsync(Visible);
        var middle = (await page.Locator(".group.running .writing").InnerTextAsync()).Trim();
        await Chromium.KeepAsync(page, "reloaded");
        await Expect(page.Locator(".group.replied")).ToHaveCountAsync(1, Count);

        var whole = (await page.Locator(".group.replied .answer > .prose").InnerTextAsync()).Trim();
        // It goes on behind what was there: nothing is missing before it, nothing is there twice.
        Assert.StartsWith(before, middle, StringComparison.Ordinal);
        Assert.StartsWith(middle, whole, StringComparison.Ordinal);
        Assert.NotEqual(middle, whole);
    }

    [ChromiumFact]
    public async Task Interrupt_Pressed_MarksWhatWasWrittenAndTheNextRunAnswersBoth()
    {
        await using var chat = await StartAsync();
        var page = await chromium.OpenAsync(chat.Client.BaseAddress!);

        await SayAsync(page, "order a pizza\n/long 400");
        await Expect(page.Locator(".group.running .writing")).ToBeVisibleAsync(Visible);
        await page.Locator("#text").FillAsync("no, pasta please");
        await page.Locator("#interrupt").ClickAsync();
        await Expect(page.Locator(".cut .meta")).ToContainTextAsync("interrupted by a newer message", Text);
        await Chromium.KeepAsync(page, "interrupted");
        await Expect(page.Locator(".group.replied")).ToHaveCountAsync(1, Count);

        Assert.Equal(2, await page.Locator(".group.replied .said li").CountAsync());
        Assert.Equal(1, await page.Locator(".group").CountAsync());
        await Expect(page.Locator("#interrupt")).ToBeHiddenAsync();
    }

    [ChromiumFact]
    public async Task ToolCalls_AreShownAndWaitForTheirApproval()
    {
        await using var chat = await StartAsync();
        var page = await chromium.OpenAsync(chat.Client.BaseAddress!);

        await SayAsync(page, "give me my money back\n/say One moment, please.\n/tool order_status {\"number\":\"4711\"}\n/tool refund {\"number\":\"4711\",\"euros\":5}");
        await Expect(page.GetByText("asks for approval")).ToBeVisibleAsync(new() { Timeout = 60_000 });
        await Expect(page.Locator(".group.asking .writing")).ToContainTextAsync("One moment, please.", Text);
        await Chromium.KeepAsync(page, "approval");
        await page.GetByRole(AriaRole.Button, new() { Name = "Approve" }).ClickAsync();
        await Expect(page.Locator(".group.replied")).ToHaveCountAsync(1, Count);
        await Chromium.KeepAsync(page, "tools");

        // What was said before the calls is still there.
        var answer = await page.Locator(".group.replied .answer > .prose").InnerTextAsync();
        Assert.StartsWith("One moment, please.", answer, StringComparison.Ordinal);
        Assert.Contains("Refunded 5.00 € for order 4711", answer, StringComparison.Ordinal);
        Assert.Equal(2, await page.Locator(".group.replied .calls li").CountAsync());
    }

    [ChromiumFact]
    public async Task Typing_WhileAMessageWaits_HoldsItBack()
    {
        var window = TimeSpan.FromSeconds(8);
        await using var chat = await StartAsync(("MessageDelay", $"{window:c}"));
        var page = await chromium.OpenAsync(chat.Client.BaseAddress!);

        await SayAsync(page, "hi");
        await Expect(page.Locator(".group.waiting")).ToBeVisibleAsync(Visible);
        var waited = Stopwatch.StartNew();
        do
        {
            await page.Locator("#text").PressSequentiallyAsync("and more ", new() { Delay = 150 });
        }
        while (waited.Elapsed < window);

        // Its window is over, and the page knows that it still waits.
        await Expect(page.Locator(".group.waiting .seam-text")).ToContainTextAsync("while you type", Text);
        await Chromium.KeepAsync(page, "typing");
        await page.Locator("#toggle-extras").ClickAsync();
        await page.Locator("#delay").FillAsync("0");
        await page.Locator("#send").ClickAsync();
        await Expect(page.Locator(".group.replied")).ToHaveCountAsync(1, Count);

        Assert.Equal(2, await page.Locator(".group.replied .said li").CountAsync());
        Assert.Equal(1, await page.Locator(".group").CountAsync());
    }

    private static async Task SayAsync(IPage page, string text)
    {
        await page.Locator("#text").FillAsync(text);
        await page.Locator("#send").ClickAsync();
    }

    // Slow enough to look at a reply while it is written, on any machine: a word takes a twentieth of a second.
    private static Task<WebChat> StartAsync(params (string Name, string Value)[] settings) =>
        WebChat.StartAsync(null, [.. settings.Length > 0 ? settings : [("MessageDelay", "00:00:01.5")], ("Emulators__OpenAI__Latency", "00:00:00.2"), ("Emulators__OpenAI__DeltaPause", "00:00:00.050")]);
}
