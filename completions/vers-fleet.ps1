# PowerShell completion for vers-fleet
#
# The words of the command line are handed to the program as text; nothing of
# them, and nothing of the answer, is evaluated. The answer is "words", or "files"
# where names of files will do too, then a line for each word, which needs no
# quotes, with what is said about it after a tab.

Register-ArgumentCompleter -Native -CommandName 'vers-fleet' -ScriptBlock {
    param($WordToComplete, $CommandAst, $CursorPosition)
    $words = @($CommandAst.CommandElements | Select-Object -Skip 1 |
        Where-Object { $_.Extent.EndOffset -lt $CursorPosition } |
        ForEach-Object {
            if ($_ -is [System.Management.Automation.Language.StringConstantExpressionAst]) { $_.Value } else { $_.Extent.Text }
        })
    $program = Get-Command -Name 'vers-fleet' -CommandType Application -ErrorAction SilentlyContinue | Select-Object -First 1
    if (-not $program) { return }
    $lines = @(& $program __offer powershell "--word=$WordToComplete" '--' @words 2>$null)
    $offered = @($lines | Select-Object -Skip 1)
    if ($offered.Count -eq 0 -and $lines[0] -eq 'words') { return '' } # no names of files instead
    foreach ($line in $offered) {
        $word, $about = $line -split "`t", 2
        if (-not $about) { $about = $word }
        [System.Management.Automation.CompletionResult]::new($word, $word, 'ParameterValue', $about)
    }
}
